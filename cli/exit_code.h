/* How the archscout command ends. Scripts rely on the numbers: they never change. */
#ifndef CLI_EXIT_CODE_H
#define CLI_EXIT_CODE_H

enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILED = 1, /* something here: out of memory, a file that cannot be read or written */
    EXIT_CODE_USAGE = 2,  /* the command line */
    EXIT_CODE_NOT_FOUND = 3,   /* no such search, candidate or model */
    EXIT_CODE_REFUSED = 4,     /* the daemon refused the request: invalid spec, wrong state, ... */
    EXIT_CODE_UNREACHABLE = 5, /* no daemon there, or it cannot do it at present (503) */
    EXIT_CODE_SEARCH_LOST = 6, /* watch: the search ended cancelled or failed */
    EXIT_CODE_DIFFERS = 7,     /* verify: the stored search does not follow from its spec */
};

#endif
