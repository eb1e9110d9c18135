/* What a test can make the library of fake_nvml.c say: its variable `fake_nvml`, found by dlsym. */
#ifndef TESTS_UNIT_WORKER_FAKE_NVML_H
#define TESTS_UNIT_WORKER_FAKE_NVML_H

#define FAKE_NVML_UUID "GPU-5d2b6f0a-0000-4000-8000-0123456789ab" /* of its one device */

struct fake_nvml {
    unsigned sm_mhz, sm_mhz_max;
    unsigned long long reasons;
    int started;      /* nvmlInit_v2 without nvmlShutdown */
    int reads;        /* of the clock */
    int init_status;  /* what nvmlInit_v2 answers */
    int clock_status; /* what asking for the clock answers */
};

#endif
