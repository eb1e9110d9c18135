/* Included before every file of ours by the build: using one of these functions does not compile.
 * Each has a safe counterpart: snprintf, strtok_r, strtol and friends, gmtime_r, an arena or the
 * heap. */
#ifndef SEARCH_BANNED_H
#define SEARCH_BANNED_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef alloca
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strtok
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atof gmtime localtime alloca gets

#endif
