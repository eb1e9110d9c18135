/* One slot of an agent: its trainer, kept running, and the attempt that it works on.
 *
 * The trainer's side (agent_slot.c): start, hello, watch, replace. The daemon's side (agent_slot_request.c): ask for work,
 * report, hand the result in, one request at a time. Beside them files are moved (agent_slot_checkpoint.c): the checkpoint that
 * a task continues from is fetched before the trainer gets the task, those that the trainer writes are sent. Events change the slot's state and wake the agent, which calls slot_step;
 * slot_step alone starts things.
 *
 * Legal order: slot_init; slot_step whenever woken or slot_due_ms has come; slot_stop; slot_step until slot_is_idle;
 * slot_release. Everything on the loop's thread. */
#ifndef WORKER_AGENT_SLOT_H
#define WORKER_AGENT_SLOT_H

#include "worker/agent_attempt.h"
#include "worker/agent_child.h"
#include "worker/agent_shared.h"
#include "worker/agent_transfer.h"

enum {
    STALL_GRACE_MS =
        1000, /* for what waits in the pipe when this process was stopped for a while */
    RESTART_FIRST_MS = 500, /* before a trainer that would not start is started again */
    RESTART_MAX_MS = 60000,
    LEASE_WAIT_SECONDS = 20, /* that the daemon may keep a request for work */
    LEASE_TIMEOUT_MS = 35000,
    LEASE_INTERVAL_MS = 250, /* at least between requests for work that was not there */
    HAND_BACK_MS = 60000, /* that a trainer has for its checkpoint when its task is wanted back */
    HAND_BACK_STOPPING_MS = 9000, /* the same when the agent stops */
    UNASKED_RETURN_MS = 1000,     /* pause after a task that a trainer returned by itself */
    FETCH_TRIES = 4,              /* before training begins anew */
};

enum slot_state {
    SLOT_EMPTY,    /* no trainer; one is started at restart_due_ms */
    SLOT_STARTING, /* until its hello */
    SLOT_READY,
    SLOT_FETCHING, /* it waits, until the attempt's checkpoint is here */
    SLOT_BUSY,     /* it works on the attempt */
    SLOT_ENDING, /* killed or ended, until the process is gone; a process that waits in a driver may never go */
};

enum slot_request { SLOT_LEASE, SLOT_REPORT, SLOT_RESULT };

struct slot {
    struct agent_shared *shared;
    uint32_t index;

    enum slot_state state;
    struct child_options child_options;
    struct child *trainer; /* NULL when EMPTY */
    uint64_t progress_ms;  /* STARTING: its start; BUSY: the last progress or the task */
    uint64_t verdict_ms;   /* 0, or when a trainer that looks stalled is given up */
    bool first_step_made;  /* of the task */
    uint64_t restart_due_ms;
    struct backoff restart;
    uint64_t ending_ms; /* ENDING: since when */
    bool stuck;         /* and that was longer ago than it may take */
    bool drained;       /* a trainer on its device is stuck: no more work, no other trainer */
    bool settled;       /* it has said hello or failed, once */
    bool hello_known;   /* `hello` is set */
    bool news; /* of what the daemon is told of the slot, that the agent has not looked at */
    struct hello hello; /* of its latest trainer */

    bool has_attempt; /* BUSY, or until its result is acknowledged */
    struct attempt attempt;
    uint64_t report_due_ms;
    struct wire_task task; /* FETCHING: to be given to the trainer */
    bool handing_back;     /* BUSY: SIGTERM was sent */
    uint64_t hand_back_ms; /* and then: when patience ends */
    const char *unwanted;  /* why the daemon wants no more of the attempt; NULL = it does */
    uint64_t unwanted_ms;  /* when that is acted upon */

    struct http_call *call; /* NULL when there is no request */
    enum slot_request request;
    struct report_request report; /* in flight */
    uint64_t asked_ms;            /* when the latest request was made */
    uint64_t request_due_ms;      /* the next one not before */
    struct backoff retry;

    char work[PATH_MAX];                    /* directory for checkpoints; "" = there is none */
    struct wire_checkpoint_written written; /* the trainer's newest; bytes 0 = none */
    struct wire_checkpoint stored;          /* the newest that the daemon has the file of */
    bool stored_told;                       /* and has been told of in a report */
    struct transfer transfer;
    uint64_t transfer_due_ms;
    uint32_t fetch_tries;
    struct backoff transfer_retry;
};

void slot_init(struct slot *slot, struct agent_shared *shared, uint32_t index);
/* Ends its request. A trainer that is still there is the agent's to leave. */
void slot_release(struct slot *slot);

/* Does what is due at `now_ms`, the loop's time. */
void slot_step(struct slot *slot, uint64_t now_ms);
/* When slot_step has something to do, as far as time alone decides; UINT64_MAX = never. */
uint64_t slot_due_ms(const struct slot *slot);

/* Ends the trainer and the request for work; what it worked on is handed back, with a checkpoint where it writes them. */
void slot_stop(struct slot *slot);
/* True where a trainer of `other` that cannot be ended makes this slot unusable: it is its own, or on the same GPU. */
bool slot_is_drained_by(const struct slot *slot, const struct slot *other);
/* No trainer, or one that cannot be ended, and nothing that the daemon should be told. */
bool slot_is_idle(const struct slot *slot);

/* ---- between the slot's two sides ---- */

void slot_step_request(struct slot *slot, uint64_t now_ms);
uint64_t slot_request_due_ms(const struct slot *slot);
/* Gives the trainer, which is READY, a task. */
void slot_begin(struct slot *slot, const struct wire_task *task);
/* The daemon wants no more of the attempt, unless its result is there already: that is handed in all the same, and its own
 * answer decides. */
void slot_end_unwanted(struct slot *slot, const char *reason);
/* Asks the trainer for the task; it is RETURNED without it where that takes too long. */
void slot_hand_back(struct slot *slot, uint64_t patience_ms);
/* Forgets the attempt; a trainer that still works on it is killed and replaced. */
void slot_drop_attempt(struct slot *slot, const char *reason);

/* ---- agent_slot_checkpoint.c ---- */

/* The trainer writes checkpoints, and there is a place for them. */
bool slot_writes_checkpoints(const struct slot *slot);
void slot_step_transfer(struct slot *slot, uint64_t now_ms);
uint64_t slot_transfer_due_ms(const struct slot *slot);
void slot_take_checkpoint(struct slot *slot, const struct wire_checkpoint_written *written);
/* True while the daemon should have a checkpoint before it hears how the attempt ended. */
bool slot_owes_checkpoint(const struct slot *slot);
/* The answer to a report that named `told`. */
void slot_checkpoint_told(struct slot *slot, const struct wire_checkpoint *told, bool missing);
/* The attempt is not this worker's any more: nothing of it is owed. */
void slot_waive_checkpoint(struct slot *slot);
/* Cancels what is moved and removes the files. */
void slot_forget_checkpoints(struct slot *slot);
/* Gives the trainer `task`. */
void slot_give_task(struct slot *slot);

#endif
