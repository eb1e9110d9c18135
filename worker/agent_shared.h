/* What the parts of one agent share: where they run, whom they talk to, and how that goes. */
#ifndef WORKER_AGENT_SHARED_H
#define WORKER_AGENT_SHARED_H

#include <limits.h>

#include "proto/http_loop.h"
#include "worker/agent_backoff.h"
#include "worker/agent_files.h"
#include "worker/agent_options.h"

enum {
    REQUEST_TIMEOUT_MS = 15000,
    RETRY_FIRST_MS = 250,
    RETRY_MAX_MS = 15000,
    RETRY_STOPPING_MAX_MS = 500, /* while the agent stops */
    RETRY_AFTER_MAX_MS = 60000,  /* that the daemon can ask for */
};

struct agent_shared {
    uv_loop_t *loop;
    const struct log *log;
    const struct agent_options *options;
    struct http_client *client;
    struct http_loop *http;
    char trainer_path[PATH_MAX];
    struct agent_files files; /* for checkpoints */
    char worker[WIRE_WORKER_SIZE];
    bool registered;         /* the daemon knows this worker, as far as is known */
    bool stopping;           /* a signal came: no new work */
    uint32_t report_seconds; /* since it is registered */
    uint32_t trouble_ms;     /* the longest wait that was logged; 0 = the daemon answers */
    uv_timer_t wake;         /* steps everything: the agent's, armed to the next thing due */
    uv_timer_cb on_wake;
};

/* Steps all slots and the registration in the loop's next turn. Called after every event. */
void agent_wake(struct agent_shared *shared);

uint64_t agent_random_bits(void);

/* A body for the daemon, and who hears what became of it. */
struct post {
    const char *path;
    const struct buffer *body; /* copied */
    long timeout_ms;
    http_loop_done *done;
    void *user;
};
int agent_post(struct agent_shared *shared, const struct post *post,
               struct http_call **ret_call) MUST_USE;

/* Whether a request should be made again, later: no connection, an overloaded or broken daemon. */
bool agent_should_retry(int code, const struct http_response *response);

/* One line about an answer that is not 200, for the log: the status and the beginning of its text. */
enum { ANSWER_TEXT_SIZE = 400 };
void agent_answer_text(const struct http_response *response, char ret_text[ANSWER_TEXT_SIZE]);

/* What a request came to, as http_loop_done says it. */
struct answer {
    const char *what; /* "asking for work" */
    int code;
    const struct http_response *response;
    const struct error *error;
};

/* A request failed: the wait in milliseconds until it is made again. Logs when waits grow. */
uint32_t agent_retry_ms(struct agent_shared *shared, struct backoff *backoff,
                        const struct answer *answer);
/* A request was answered. */
void agent_answered(struct agent_shared *shared, struct backoff *backoff);

#endif
