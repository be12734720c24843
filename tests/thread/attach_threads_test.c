/* A site with its loop in one thread and programs in many: servers, callers,
 * senders, watchers, and peers that die all the time. A plain program, so that
 * it runs under ThreadSanitizer too. */
#include <motet/motet.h>
#include <stdatomic.h>

#include "sites/host/attach.h"
#include "tests/unit/attach_ground.h"

enum {
    SERVERS = 2,
    CALLERS = 4,
    CALLS = 500, /* of each caller */
    SENDS = 500,
    VICTIMS = 100, /* that die one after another */
    LARGE = 300000,
};

#define MUST(expr)                                                          \
    do {                                                                    \
        const enum motet_err must = (expr);                                 \
        if (must != MOTET_OK) {                                             \
            (void)fprintf(stderr, "%s: %s\n", #expr, motet_err_name(must)); \
            abort();                                                        \
        }                                                                   \
    } while (0)

static struct ground ground;
static atomic_uint served;
static atomic_uint answered;
static sem_t started;

static void *server(void *arg)
{
    struct motet *m = ground_attach(&ground);
    struct motet_port *port = ground_port(m, "echo");
    struct motet_msg msg;
    (void)arg;
    MUST(motet_prefetch(m, 4));
    sem_post(&started);
    for (;;) {
        const enum motet_err err = motet_receive(port, &msg, MOTET_FOREVER);
        if (err == MOTET_E_DETACHED) {
            break;
        }
        MUST(err);
        if (msg.kind == MOTET_MSG_CALL) {
            (void)motet_reply(&msg, msg.body, msg.body_bytes);
            atomic_fetch_add(&served, 1);
        }
    }
    motet_detach(m);
    return NULL;
}

static void call_once(struct motet *m, uint32_t i)
{
    static const uint8_t zeroes[LARGE];
    struct motet_msg reply;
    uint32_t word = i;
    const bool large = i % 50 == 49;
    const struct motet_out out =
        large ? motet_body(NULL, LARGE) : motet_body(&word, sizeof word);
    MUST(motet_call(m, motet_to("echo"), out, &reply, 60000));
    CHECK(reply.body_bytes == out.body.size);
    CHECK(memcmp(reply.body, large ? (const void *)zeroes : &word,
                 reply.body_bytes) == 0);
    atomic_fetch_add(&answered, 1);
}

static void *caller(void *arg)
{
    struct motet *m = ground_attach(&ground);
    struct motet_port *port = ground_port(m, NULL);
    const struct motet_dest self = motet_to_ui(motet_port_ui(port));
    struct motet_msg msg;
    struct motet_event event;
    (void)arg;
    for (uint32_t i = 0; i < CALLS; i++) {
        call_once(m, i);
    }
    for (uint64_t i = 0; i < SENDS; i++) {
        MUST(motet_send_start(port, self, motet_body(&i, sizeof i), 60000, i));
    }
    for (uint64_t i = 0; i < SENDS; i++) {
        MUST(motet_receive(port, &msg, 60000));
        CHECK(msg.body_bytes == sizeof i && memcmp(msg.body, &i, 8) == 0);
        MUST(motet_event(m, &event, 60000));
        CHECK(event.err == MOTET_OK && event.token == i);
    }
    motet_detach(m);
    return NULL;
}

/* Each one is watched by the thread that lets it die. */
static void *victims(void *arg)
{
    struct motet *m = ground_attach(&ground);
    struct motet_port *port = ground_port(m, NULL);
    (void)arg;
    for (uint64_t i = 0; i < VICTIMS; i++) {
        struct motet *v = ground_attach(&ground);
        struct motet_port *theirs = ground_port(v, "victims");
        struct motet_msg msg;
        uint64_t watch;
        MUST(motet_watch(port, motet_port_ui(theirs), &watch));
        MUST(motet_call_start(theirs, motet_to("echo"), motet_body(&i, 8),
                              60000, i, NULL));
        motet_detach(v);
        MUST(motet_receive(port, &msg, 60000));
        CHECK(msg.kind == MOTET_MSG_NEWS && msg.watch == watch);
        close(ground_raw(&ground));
    }
    motet_detach(m);
    return NULL;
}

int main(void)
{
    pthread_t servers[SERVERS];
    pthread_t others[CALLERS + 1];
    ground_start(&ground);
    CHECK(sem_init(&started, 0, 0) == 0);
    for (int i = 0; i < SERVERS; i++) {
        CHECK(pthread_create(&servers[i], NULL, server, NULL) == 0);
        ground_wait(&started);
    }
    for (int i = 0; i < CALLERS; i++) {
        CHECK(pthread_create(&others[i], NULL, caller, NULL) == 0);
    }
    CHECK(pthread_create(&others[CALLERS], NULL, victims, NULL) == 0);
    for (int i = 0; i <= CALLERS; i++) {
        CHECK(pthread_join(others[i], NULL) == 0);
    }
    ground_stop(&ground); /* the servers see it */
    for (int i = 0; i < SERVERS; i++) {
        CHECK(pthread_join(servers[i], NULL) == 0);
    }
    CHECK(atomic_load(&answered) == CALLERS * CALLS);
    CHECK(atomic_load(&served) >= CALLERS * CALLS);
    (void)printf("%u calls answered, %u lines of log\n", atomic_load(&answered),
                 ground_logged(&ground));
    return ground_logged(&ground) != 0;
}
