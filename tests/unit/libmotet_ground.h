#ifndef LIBMOTET_GROUND_H
#define LIBMOTET_GROUND_H

#include <criterion/criterion.h>

#include "attach_ground.h"

#define OK(expr) cr_assert_eq((expr), MOTET_OK, "%s", #expr)

/* Errors by name in what a failure prints. */
#define ERR(expr, wanted)                                       \
    do {                                                        \
        const enum motet_err got = (expr);                      \
        cr_assert(got == (wanted), "%s: %s, not %s", #expr,     \
                  motet_err_name(got), motet_err_name(wanted)); \
    } while (0)

static inline struct motet_out text(const char *s)
{
    return motet_body(s, strlen(s));
}

static inline bool says(const struct motet_msg *msg, const char *s)
{
    return msg->body_bytes == strlen(s) &&
           memcmp(msg->body, s, msg->body_bytes) == 0;
}

struct server {
    struct ground *ground;
    const char *name;
    uint32_t calls; /* to answer, then it leaves */
    pthread_t thread;
    sem_t ready;
};

static inline void *serve(void *arg)
{
    struct server *s = arg;
    struct motet *m = ground_attach(s->ground);
    struct motet_port *port = ground_port(m, s->name);
    struct motet_msg msg;
    sem_post(&s->ready);
    for (uint32_t i = 0; i < s->calls; i++) {
        CHECK(motet_receive(port, &msg, MOTET_FOREVER) == MOTET_OK);
        CHECK(msg.kind == MOTET_MSG_CALL);
        CHECK(motet_reply(&msg, msg.body, msg.body_bytes) == MOTET_OK);
    }
    motet_detach(m);
    return NULL;
}

static inline void server_start(struct server *s)
{
    CHECK(sem_init(&s->ready, 0, 0) == 0);
    CHECK(pthread_create(&s->thread, NULL, serve, s) == 0);
    ground_wait(&s->ready);
}

#endif
