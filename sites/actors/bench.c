#include <string.h>

#include "actors.h"
#include "nucleus/base/histogram.h"
#include "words.h"

/* Measures from inside a site: supervisor actor to supervisor actor. One
 * measurement at a time, asked for by a call:
 *
 *   op=call to=GROUP size=64 ms=3000 window=1 rate=0
 *           beside=SIZE beside_to=GROUP   and a stream of such bodies meanwhile
 *   op=send to=GROUP size=64 ms=3000 window=4096 all=0
 *           all=1: each to every member
 *   op=sink group=GROUP          one more port for messages, in that group;
 *                                without a group it ends
 *   op=ports count=1000000       makes them; they end with the site
 *
 * Times are those of the site's turns. With a rate, a call's latency counts
 * from the time at which it was due, and those that were due and had no turn
 * count too, so that a stall is not left out (coordinated omission). The reply
 * has the buckets of the histogram, "hist=BUCKET:COUNT,...". */

enum {
    SIZE_MAX_BYTES = 16 << 20,
    WINDOW_MAX = 65536,
    WINDOW_BYTES = 8 << 20, /* in flight, more or less */
    CALLS_MAX = 4096,       /* of them in flight */
    MISSED_MAX = 1 << 24,
    ASK_EVERY = 64, /* sends per outcome asked for: the others are before it */
    ASK_BYTES = 262144, /* likewise */
    CALL_MS = 5000,     /* deadline of one call or send */
    BESIDE_WINDOW = 2,  /* bodies of the stream beside, in flight */
    TIMER_END = 1,
    TIMER_RATE = 2,
};

enum op { OP_NONE, OP_CALL, OP_SEND };

struct due {
    uint64_t call;
    uint64_t since_ns;
};

/* The stream beside: its messages have this bit in their tokens. */
#define BESIDE (UINT64_C(1) << 63)

struct bench {
    struct motet_cap port;
    struct motet_cap sink; /* ui 0: there is none */
    enum op op;
    uint64_t held;
    struct motet_dest to;
    uint64_t size;
    uint64_t window;
    uint64_t rate;
    uint64_t ask_every;
    struct motet_dest beside_to;
    struct motet_block *beside; /* NULL = no stream */
    uint64_t beside_flight;
    uint64_t beside_done;
    uint64_t start_ns;
    uint64_t end_ns;
    uint64_t next_due_ns; /* with a rate */
    uint64_t in_flight;
    uint64_t issued;
    uint64_t done;
    uint64_t counted;
    uint64_t refused;
    uint64_t maybe;
    uint64_t extra_ports;
    struct histogram latency;
    struct due dues[CALLS_MAX]; /* by call number modulo */
};

static void reply_text(struct motet_self *self, uint64_t held, const char *text,
                       size_t size)
{
    struct motet_out out = {.body = {text, size}};
    enum motet_err err = motet_actor_reply(self, held, &out);

    (void)err; /* whoever asked has gone: nothing is owed */
}

static void fail(struct motet_self *self, uint64_t held, const char *why)
{
    reply_text(self, held, why, strlen(why));
}

static void finish(struct motet_self *self, struct bench *b)
{
    struct words w = {.size = 0};
    uint64_t now = motet_actor_now_ns(self);
    uint64_t elapsed = now > b->start_ns ? now - b->start_ns : 1;
    const struct histogram *h = &b->latency;

    words_put(&w, "size", b->size);
    words_put(&w, "count", b->counted);
    words_put(&w, "elapsed_ns", elapsed);
    words_put(&w, "rate", b->counted * 1000000 / (elapsed / 1000 + 1));
    words_put(&w, "refused", b->refused);
    words_put(&w, "maybe", b->maybe);
    words_put(&w, "beside", b->beside_done);
    if (b->op == OP_CALL) {
        words_put(&w, "min_ns", h->count == 0 ? 0 : h->min);
        words_put(&w, "max_ns", h->max);
        words_begin(&w, "hist");
        for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
            if (h->buckets[i] > 0) {
                words_pair(&w, i, h->buckets[i]);
            }
        }
        words_end(&w);
    }
    b->op = OP_NONE;
    motet_actor_block_free(self, b->beside);
    b->beside = NULL;
    reply_text(self, b->held, w.text, w.size);
}

static bool over(struct motet_self *self, const struct bench *b)
{
    return motet_actor_now_ns(self) >= b->end_ns;
}

/* ---- calls -----------------------------------------------------------------
 */

static bool issue_call(struct motet_self *self, struct bench *b,
                       uint64_t since_ns)
{
    struct motet_out out = {.body = {NULL, b->size}};
    uint64_t call;
    enum motet_err err =
        motet_actor_call(self, b->port.ui, &b->to, &out, CALL_MS, &call);

    if (err != MOTET_OK) {
        b->refused++;
        return false;
    }
    b->dues[call % CALLS_MAX] = (struct due){call, since_ns};
    b->in_flight++;
    b->issued++;
    return true;
}

/* Those that were due but found no place have waited, too. */
static void count_missed(struct bench *b)
{
    uint32_t most = MISSED_MAX;

    for (; b->rate > 0 && b->next_due_ns < b->end_ns && most > 0; most--) {
        histogram_add(&b->latency, b->end_ns - b->next_due_ns);
        b->next_due_ns += 1000000000 / b->rate;
    }
}

static void pump_calls(struct motet_self *self, struct bench *b)
{
    uint64_t now = motet_actor_now_ns(self);

    if (b->rate == 0) {
        while (b->in_flight < b->window && issue_call(self, b, now)) {
        }
        return;
    }
    while (b->next_due_ns <= now && b->in_flight < b->window &&
           issue_call(self, b, b->next_due_ns)) {
        b->next_due_ns += 1000000000 / b->rate;
    }
    if (b->next_due_ns > now) { /* else the window is full: a reply goes on */
        enum motet_err err =
            motet_actor_timer(self, TIMER_RATE, b->next_due_ns - now);
        (void)err; /* one timer of 64 */
    }
}

static void on_call_done(struct motet_self *self, struct bench *b,
                         const struct motet_event *e)
{
    const struct due *due = &b->dues[e->call % CALLS_MAX];
    uint64_t now = motet_actor_now_ns(self);

    b->in_flight--;
    if (e->err != MOTET_OK) {
        bool no = motet_err_ran(e->err) == MOTET_RAN_NO;
        b->refused += no ? 1 : 0;
        b->maybe += no ? 0 : 1;
    } else if (due->call == e->call && due->since_ns >= b->start_ns) {
        b->counted++;
        histogram_add(&b->latency, now - due->since_ns);
    }
    if (over(self, b)) {
        if (b->in_flight == 0) {
            count_missed(b);
            finish(self, b);
        }
    } else {
        pump_calls(self, b);
    }
}

/* ---- the stream beside -----------------------------------------------------
 */

static void pump_beside(struct motet_self *self, struct bench *b)
{
    const struct motet_out out = {.block = b->beside};

    while (b->beside != NULL && b->beside_flight < BESIDE_WINDOW) {
        enum motet_err err =
            motet_actor_send(self, b->port.ui, &b->beside_to, &out, CALL_MS,
                             BESIDE | (b->beside_done + b->beside_flight + 1));
        if (err != MOTET_OK) {
            return; /* MOTET_EVENT_ROOM, or the end, goes on */
        }
        b->beside_flight++;
    }
}

static void on_beside_sent(struct motet_self *self, struct bench *b)
{
    b->beside_flight -= b->beside_flight > 0 ? 1 : 0;
    b->beside_done++;
    if (b->op == OP_CALL && !over(self, b)) {
        pump_beside(self, b);
    }
}

/* ---- sends -----------------------------------------------------------------
 */

static void pump_sends(struct motet_self *self, struct bench *b)
{
    struct motet_out out = {.body = {NULL, b->size}};

    while (b->issued - b->done < b->window) {
        bool ask = (b->issued + 1) % b->ask_every == 0;
        enum motet_err err = motet_actor_send(self, b->port.ui, &b->to, &out,
                                              CALL_MS, ask ? b->issued + 1 : 0);
        if (err != MOTET_OK) {
            b->refused += err == MOTET_E_AGAIN ? 0 : 1;
            return; /* MOTET_EVENT_ROOM, or the end, goes on */
        }
        b->issued++;
    }
}

static void on_sent(struct motet_self *self, struct bench *b,
                    const struct motet_event *e)
{
    if (e->err != MOTET_OK) {
        bool no = motet_err_ran(e->err) == MOTET_RAN_NO;
        b->refused += no ? 1 : 0;
        b->maybe += no ? 0 : 1;
    } else if (e->token > b->done) {
        uint64_t news = e->token - b->done;
        b->done = e->token;
        b->counted += news;
    }
    if (!over(self, b)) {
        pump_sends(self, b);
    }
}

/* ---- what is asked ---------------------------------------------------------
 */

static const char *read_beside(struct motet_self *self, struct bench *b,
                               const char *text, size_t size)
{
    char to[MOTET_NAME_MAX + 1];
    uint64_t bytes;
    void *unused;

    motet_actor_block_free(self, b->beside);
    b->beside = NULL;
    if (!words_number(text, size, "beside", 0, SIZE_MAX_BYTES, &bytes)) {
        return "error=beside: a size up to 16 MiB";
    }
    if (bytes == 0) {
        return NULL;
    }
    if (!words_text(text, size, "beside_to", to, sizeof to)) {
        return "error=beside_to: which group?";
    }
    b->beside_to = (struct motet_dest){.target = motet_ui_of_name(to),
                                       .mode = MOTET_TO_ANY};
    return motet_actor_block(self, bytes, &b->beside, &unused) == MOTET_OK
               ? NULL
               : "error=beside: this site sends no such body";
}

static const char *read_common(struct motet_self *self, struct bench *b,
                               enum op op, const char *text, size_t size)
{
    char to[MOTET_NAME_MAX + 1];
    uint64_t ms;
    uint64_t all;

    if (!words_text(text, size, "to", to, sizeof to)) {
        return "error=to: which group?";
    }
    if (!words_number(text, size, "size", 64, SIZE_MAX_BYTES, &b->size) ||
        !words_number(text, size, "ms", 3000, 3600000, &ms) ||
        !words_number(text, size, "all", 0, 1, &all) ||
        !words_number(text, size, "rate", 0, 10000000, &b->rate) ||
        !words_number(text, size, "window", 1, WINDOW_MAX, &b->window) ||
        b->window == 0) {
        return "error=a number is out of its range";
    }
    b->to = (struct motet_dest){.target = motet_ui_of_name(to),
                                .mode = all ? MOTET_TO_ALL : MOTET_TO_ANY};
    const uint64_t every = ASK_BYTES / (b->size + 1) + 1;
    b->ask_every = every < ASK_EVERY ? every : ASK_EVERY;
    const uint64_t most = WINDOW_BYTES / (b->size + 1) + 2;
    b->window = b->window < most ? b->window : most;
    b->start_ns = motet_actor_now_ns(self);
    b->end_ns = b->start_ns + ms * 1000000;
    b->next_due_ns = b->start_ns;
    return op == OP_CALL ? read_beside(self, b, text, size) : NULL;
}

static void begin(struct motet_self *self, struct bench *b, enum op op,
                  const struct motet_view *view)
{
    const char *why = b->op != OP_NONE ? "error=a measurement is running"
                                       : read_common(self, b, op, view->body,
                                                     view->body_bytes);

    if (why != NULL) {
        fail(self, view->held, why);
        return;
    }
    if (op == OP_CALL && b->window > CALLS_MAX) {
        b->window = CALLS_MAX;
    }
    b->op = op;
    b->held = view->held;
    b->in_flight = 0;
    b->done = b->issued; /* what is left of the last one does not count */
    b->counted = 0;
    b->refused = 0;
    b->maybe = 0;
    b->beside_done = 0;
    histogram_init(&b->latency);
    enum motet_err err = motet_actor_timer(
        self, TIMER_END, b->end_ns - motet_actor_now_ns(self));
    (void)err; /* one timer of 64 */
    if (op == OP_CALL) {
        pump_beside(self, b);
        pump_calls(self, b);
    } else {
        pump_sends(self, b);
    }
}

static void make_ports(struct motet_self *self, struct bench *b,
                       const struct motet_view *view)
{
    struct words w = {.size = 0};
    struct motet_cap cap;
    uint64_t count;

    if (!words_number(view->body, view->body_bytes, "count", 1000, 1 << 20,
                      &count)) {
        fail(self, view->held, "error=count: at most 1048576");
        return;
    }
    while (b->extra_ports < count &&
           motet_actor_port_new(self, &cap) == MOTET_OK) {
        b->extra_ports++;
    }
    words_put(&w, "count", b->extra_ports);
    reply_text(self, view->held, w.text, w.size);
}

/* A port for messages only, so that the members of a group can be counted. */
static void be_sink(struct motet_self *self, struct bench *b,
                    const struct motet_view *view)
{
    char name[MOTET_NAME_MAX + 1];
    struct motet_cap group;
    enum motet_err err = MOTET_OK;

    const bool wanted =
        words_text(view->body, view->body_bytes, "group", name, sizeof name);
    if (b->sink.ui.hi != 0 && !wanted) {
        err = motet_actor_port_end(self, b->sink.ui);
        b->sink = (struct motet_cap){{0, 0}, 0};
    } else if (b->sink.ui.hi == 0 && wanted) {
        err = motet_actor_port_new(self, &b->sink);
        err = err != MOTET_OK ? err : motet_actor_group(self, name, &group);
        err =
            err != MOTET_OK ? err : motet_actor_join(self, &group, b->sink.ui);
    }
    fail(self, view->held,
         err == MOTET_OK ? "count=0" : "error=no room for one more port");
}

static void on_message(struct motet_self *self, void *state,
                       const struct motet_view *view)
{
    struct bench *b = state;
    char op[16] = "";

    if (view->held == 0) {
        return;
    }
    bool named = words_text(view->body, view->body_bytes, "op", op, sizeof op);
    if (named && strcmp(op, "call") == 0) {
        begin(self, b, OP_CALL, view);
    } else if (named && strcmp(op, "send") == 0) {
        begin(self, b, OP_SEND, view);
    } else if (named && strcmp(op, "sink") == 0) {
        be_sink(self, b, view);
    } else if (named && strcmp(op, "ports") == 0) {
        make_ports(self, b, view);
    } else {
        fail(self, view->held, "error=op: call, send, sink or ports");
    }
}

static void on_event(struct motet_self *self, void *state,
                     const struct motet_event *e)
{
    struct bench *b = state;

    if (e->kind == MOTET_EVENT_CALL_DONE && b->op == OP_CALL) {
        on_call_done(self, b, e);
    } else if (e->kind == MOTET_EVENT_SENT && (e->token & BESIDE) != 0) {
        on_beside_sent(self, b);
    } else if (e->kind == MOTET_EVENT_SENT && b->op == OP_SEND) {
        on_sent(self, b, e);
    } else if (e->kind == MOTET_EVENT_ROOM && !over(self, b)) {
        if (b->op == OP_SEND) {
            pump_sends(self, b);
        } else if (b->op == OP_CALL) {
            pump_beside(self, b);
        }
    }
}

static void on_timer(struct motet_self *self, void *state, uint64_t timer)
{
    struct bench *b = state;

    if (timer == TIMER_RATE && b->op == OP_CALL && !over(self, b)) {
        pump_calls(self, b);
    } else if (timer == TIMER_END &&
               (b->op == OP_SEND || (b->op == OP_CALL && b->in_flight == 0))) {
        count_missed(b);
        finish(self, b);
    }
}

static enum motet_err on_start(struct motet_self *self, void *state,
                               const char *args)
{
    struct bench *b = state;
    (void)args;

    return actor_serve(self, "bench", false, &b->port);
}

const struct motet_supervisor actor_bench = {
    .name = "bench",
    .state_bytes = sizeof(struct bench),
    .on_start = on_start,
    .on_message = on_message,
    .on_event = on_event,
    .on_timer = on_timer,
};
