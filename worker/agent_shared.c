#include "worker/agent_shared.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "proto/foreign_text.h"

void agent_wake(struct agent_shared *shared)
{
    if (!uv_is_closing((uv_handle_t *)&shared->wake))
        uv_timer_start(&shared->wake, shared->on_wake, 0, 0);
}

uint64_t agent_random_bits(void)
{
    uint64_t bits = 0;
    ssize_t count = getrandom(&bits, sizeof bits, GRND_NONBLOCK);
    return count == (ssize_t)sizeof bits ? bits : uv_hrtime();
}

int agent_post(struct agent_shared *shared, const struct post *post, struct http_call **ret_call)
{
    const struct http_request request = {
        .method = "POST",
        .path = post->path,
        .content_type = WORKER_API_CONTENT_TYPE,
        .body = post->body->data,
        .body_length = post->body->length,
        .timeout_ms = post->timeout_ms,
        .response_max = WORKER_API_BODY_MAX,
    };
    return http_loop_start(shared->http, &request, post->done, post->user, ret_call);
}

bool agent_should_retry(int code, const struct http_response *response)
{
    return code < 0 || response->status >= 500 || response->status == 408 ||
           response->status == 429;
}

void agent_answer_text(const struct http_response *response, char ret_text[ANSWER_TEXT_SIZE])
{
    char body[ANSWER_TEXT_SIZE - 32];
    foreign_message_copy((const char *)response->body.data, body, sizeof body);
    snprintf(ret_text, ANSWER_TEXT_SIZE, "status %ld %s", response->status, body);
}

/* The wait is logged when it is clearly longer than the last one that was. */
static void log_trouble(struct agent_shared *shared, const struct answer *answer, uint32_t wait_ms)
{
    if (wait_ms < shared->trouble_ms + shared->trouble_ms / 2)
        return;
    shared->trouble_ms = wait_ms;
    char text[ANSWER_TEXT_SIZE];
    if (answer->code < 0)
        snprintf(text, sizeof text, "%.*s", ANSWER_TEXT_SIZE - 1, answer->error->message);
    else
        agent_answer_text(answer->response, text);
    log_line(shared->log, LOG_WARNING, "%s at %s: %s; trying again in %.1f s", answer->what,
             http_client_base_url(shared->client), text, wait_ms / 1000.0);
}

uint32_t agent_retry_ms(struct agent_shared *shared, struct backoff *backoff,
                        const struct answer *answer)
{
    backoff->first_ms = RETRY_FIRST_MS;
    backoff->max_ms = shared->stopping ? RETRY_STOPPING_MAX_MS : RETRY_MAX_MS;
    uint32_t wait_ms = backoff_next_ms(backoff, agent_random_bits());
    long asked_ms = answer->code == 0 ? answer->response->retry_after_s * 1000 : 0;
    if (asked_ms > RETRY_AFTER_MAX_MS)
        asked_ms = RETRY_AFTER_MAX_MS;
    if (asked_ms > (long)wait_ms && !shared->stopping)
        wait_ms = (uint32_t)asked_ms;
    log_trouble(shared, answer, wait_ms);
    return wait_ms;
}

void agent_answered(struct agent_shared *shared, struct backoff *backoff)
{
    backoff_reset(backoff);
    if (shared->trouble_ms == 0)
        return;
    shared->trouble_ms = 0;
    log_line(shared->log, LOG_INFO, "%s answers again", http_client_base_url(shared->client));
}
