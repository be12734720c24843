#include <string.h>

#include "actors.h"
#include "nucleus/base/histogram.h"
#include "words.h"

/* Measures from inside a site: supervisor actor to supervisor actor. One
 * measurement at a time, asked for by a call:
 *
 *   op=call to=GROUP size=64 seconds=3 warmup_ms=500 window=1 rate=0
 *   op=send to=GROUP size=64 seconds=3 warmup_ms=500 window=4096
 *   op=sink                      messages counted here so far
 *   op=ports count=1000000       makes them; they end with the site
 *
 * Times are those of the site's turns. With a rate, a call's latency counts
 * from the time at which it was due, so that a stall is not left out
 * (coordinated omission). */

enum {
    SIZE_MAX_BYTES = 16 << 20,
    WINDOW_MAX = 65536,
    CALLS_MAX = 4096, /* of them in flight */
    ASK_EVERY = 64, /* sends per outcome asked for: the others are before it */
    CALL_MS = 5000, /* deadline of one call or send */
    TIMER_END = 1,
    TIMER_RATE = 2,
};

enum op { OP_NONE, OP_CALL, OP_SEND };

struct due {
    uint64_t call;
    uint64_t since_ns;
};

struct bench {
    struct motet_cap port;
    enum op op;
    uint64_t held;
    struct motet_dest to;
    uint64_t size;
    uint64_t window;
    uint64_t rate;
    uint64_t start_ns; /* of counting, after the warm-up */
    uint64_t end_ns;
    uint64_t next_due_ns; /* with a rate */
    uint64_t in_flight;
    uint64_t issued;
    uint64_t done;
    uint64_t counted;
    uint64_t refused;
    uint64_t maybe;
    uint64_t sunk; /* messages counted as a sink */
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
    if (b->op == OP_CALL) {
        words_put(&w, "min_ns", h->count == 0 ? 0 : h->min);
        words_put(&w, "p50_ns", histogram_at(h, 50000));
        words_put(&w, "p90_ns", histogram_at(h, 90000));
        words_put(&w, "p99_ns", histogram_at(h, 99000));
        words_put(&w, "p999_ns", histogram_at(h, 99900));
        words_put(&w, "max_ns", h->max);
    }
    b->op = OP_NONE;
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
            finish(self, b);
        }
    } else {
        pump_calls(self, b);
    }
}

/* ---- sends -----------------------------------------------------------------
 */

static void pump_sends(struct motet_self *self, struct bench *b)
{
    struct motet_out out = {.body = {NULL, b->size}};

    while (b->issued - b->done < b->window) {
        bool ask = (b->issued + 1) % ASK_EVERY == 0;
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
        if (motet_actor_now_ns(self) >= b->start_ns) {
            b->counted += news;
        }
    }
    if (!over(self, b)) {
        pump_sends(self, b);
    }
}

/* ---- what is asked ---------------------------------------------------------
 */

static const char *read_common(struct motet_self *self, struct bench *b,
                               const char *text, size_t size)
{
    char to[MOTET_NAME_MAX + 1];
    uint64_t seconds;
    uint64_t warmup_ms;

    if (!words_text(text, size, "to", to, sizeof to)) {
        return "error=to: which group?";
    }
    if (!words_number(text, size, "size", 64, SIZE_MAX_BYTES, &b->size) ||
        !words_number(text, size, "seconds", 3, 3600, &seconds) ||
        !words_number(text, size, "warmup_ms", 500, 60000, &warmup_ms) ||
        !words_number(text, size, "rate", 0, 10000000, &b->rate) ||
        !words_number(text, size, "window", 1, WINDOW_MAX, &b->window) ||
        b->window == 0) {
        return "error=a number is out of its range";
    }
    b->to = (struct motet_dest){.target = motet_ui_of_name(to),
                                .mode = MOTET_TO_ANY};
    uint64_t now = motet_actor_now_ns(self);
    b->start_ns = now + warmup_ms * 1000000;
    b->end_ns = b->start_ns + seconds * 1000000000;
    b->next_due_ns = now;
    return NULL;
}

static void begin(struct motet_self *self, struct bench *b, enum op op,
                  const struct motet_view *view)
{
    const char *why = b->op != OP_NONE
                          ? "error=a measurement is running"
                          : read_common(self, b, view->body, view->body_bytes);

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
    histogram_init(&b->latency);
    enum motet_err err = motet_actor_timer(
        self, TIMER_END, b->end_ns - motet_actor_now_ns(self));
    (void)err; /* one timer of 64 */
    if (op == OP_CALL) {
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

static void say_sunk(struct motet_self *self, const struct bench *b,
                     uint64_t held)
{
    struct words w = {.size = 0};

    words_put(&w, "count", b->sunk);
    reply_text(self, held, w.text, w.size);
}

static void on_message(struct motet_self *self, void *state,
                       const struct motet_view *view)
{
    struct bench *b = state;
    char op[16] = "";

    if (view->held == 0) {
        b->sunk++;
        return;
    }
    bool named = words_text(view->body, view->body_bytes, "op", op, sizeof op);
    if (named && strcmp(op, "call") == 0) {
        begin(self, b, OP_CALL, view);
    } else if (named && strcmp(op, "send") == 0) {
        begin(self, b, OP_SEND, view);
    } else if (named && strcmp(op, "sink") == 0) {
        say_sunk(self, b, view->held);
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
    } else if (e->kind == MOTET_EVENT_SENT && b->op == OP_SEND) {
        on_sent(self, b, e);
    } else if (e->kind == MOTET_EVENT_ROOM && b->op == OP_SEND &&
               !over(self, b)) {
        pump_sends(self, b);
    }
}

static void on_timer(struct motet_self *self, void *state, uint64_t timer)
{
    struct bench *b = state;

    if (timer == TIMER_RATE && b->op == OP_CALL && !over(self, b)) {
        pump_calls(self, b);
    } else if (timer == TIMER_END &&
               (b->op == OP_SEND || (b->op == OP_CALL && b->in_flight == 0))) {
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
