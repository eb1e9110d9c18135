/* A stage table in one line, short enough for a table's last column. Pure. */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include <stddef.h>

enum { SUMMARY_SIZE = 1024 };

/* From a canonical architecture text ("...|mb_r3_k5_s2_e4_c96_se0.25|...") its stages as "M4k5se
 * 3x96": M for MBConv, F for Fused-MBConv, the expansion, the kernel unless 3, "se" where there is
 * squeeze and excitation, layers x channels. A text of another form is given back as it is; what
 * does not fit is cut. */
void summary_of(const char *architecture, char ret_summary[SUMMARY_SIZE]);

#endif
