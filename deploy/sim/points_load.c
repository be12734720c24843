#include <stdio.h>

#include "points.h"
#include "proto/control.pb-c.h"
#include "work.h"

/* What the workers of a crash point do, one thing at a time. By where they
 * began: worker 1 of the source is the one that moves, or whose port does;
 * worker 0 there asks for it; worker 0 of the clients only calls it, all the
 * time; all others do everything. */

static const uint64_t busy_before_ns = 70 * MS; /* the move is asked for */
static const uint64_t closed_before_ns = 20 * MS;
static const uint64_t busy_after_ns = 30 * MS;
static const uint64_t busy_ns = MS; /* between two operations */
static const uint64_t dull_ns = 50 * MS;
static const uint64_t caller_ns = 40 * MS;
enum { CALLER_MS = 500 };

static bool is_worker(const struct worker *k, uint32_t home, uint32_t number)
{
    return k->home->index == home && k->number == number;
}

/* Not in a second life of the source. */
static bool is_subject(const struct worker *k)
{
    const struct points *p = k->work->world->points;
    return is_worker(k, SOURCE, 1) &&
           (ui_is_zero(p->port[1]) ||
            motet_ui_equal(k->port[1].ui, p->port[1]));
}

static uint64_t wait_ns(const struct worker *k)
{
    const struct world *w = k->work->world;
    const uint64_t asked_ns = w->points->asked_ns;
    if (is_worker(k, CLIENTS, 0)) {
        return caller_ns;
    }
    return w->now_ns + busy_before_ns >= asked_ns &&
                   w->now_ns < asked_ns + busy_after_ns
               ? busy_ns
               : dull_ns;
}

static uint64_t draw_request(const struct worker *k, const struct motet_view *v,
                             uint64_t draw)
{
    const struct points *p = k->work->world->points;
    enum { SOON = 50 };
    return motet_ui_equal(v->source, p->first[CLIENTS][0]) ? SOON : draw;
}

static size_t size_of(const struct worker *k)
{
    return k->ops % 8 == 0 ? 20000 : k->ops * 37 % 600;
}

/* ---- One of each -----------------------------------------------------------
 */

static int64_t timeout_ms(const struct worker *k)
{
    static const int64_t some[] = {3000, 200, 1000, 20};
    return some[k->ops % ARRAY_LEN(some)];
}

static void send(struct motet_self *self, struct worker *k, struct motet_ui to,
                 enum motet_mode mode)
{
    uint8_t annex[MOTET_ANNEX_MAX];
    struct check_event e =
        ops_begin(k, CHECK_SEND_BEGIN, k->port[0].ui, timeout_ms(k));
    const struct motet_dest dest = {.target = to, .mode = mode};
    const struct motet_out out = worker_out(k, e.id, size_of(k), annex);
    e.told = k->ops % 3 != 0;
    e.peer = to;
    e.how = mode;
    worker_feed(k, &e);
    e.err = motet_actor_send(self, e.port, &dest, &out, timeout_ms(k),
                             e.told ? e.id : 0);
    if (e.err != MOTET_OK) {
        e.what = CHECK_SEND_END;
        worker_feed(k, &e);
    }
}

static void call(struct motet_self *self, struct worker *k, struct motet_ui to,
                 int64_t within_ms)
{
    struct my_call *slot = ops_free_call(k);
    if (slot == NULL) {
        return;
    }
    struct check_event e =
        ops_begin(k, CHECK_CALL_BEGIN, k->port[0].ui, within_ms);
    const struct motet_dest dest = {.target = to};
    e.peer = to;
    (void)ops_call(self, k, &e, &dest, slot, within_ms);
}

static void watch(struct motet_self *self, struct worker *k, uint32_t slot,
                  struct motet_ui subject)
{
    struct my_watch *x = &k->watch[slot];
    struct check_event e = worker_event(k, CHECK_WATCH_BEGIN, k->port[0].ui);
    if (motet_actor_watch(self, e.port, subject, &x->watch) != MOTET_OK) {
        x->watch = 0;
        return;
    }
    e.id = ++k->work->ids;
    e.peer = subject;
    x->id = e.id;
    x->port = e.port;
    x->subject = subject;
    moving_note(k->work, CHECK_WATCH_BEGIN, e.port, x->watch, e.id);
    worker_feed(k, &e);
}

static void join(struct motet_self *self, struct worker *k)
{
    struct motet_cap cap;
    struct check_event e = worker_event(k, CHECK_JOIN, k->port[0].ui);
    if (motet_actor_group(self, "g0", &cap) == MOTET_OK &&
        motet_actor_join(self, &cap, e.port) == MOTET_OK) {
        e.peer = cap.ui;
        worker_feed(k, &e);
    }
}

static void to_group(struct motet_self *self, struct worker *k)
{
    struct motet_cap cap;
    if (motet_actor_group(self, "g0", &cap) == MOTET_OK) {
        send(self, k, cap.ui, k->ops % 2 == 0 ? MOTET_TO_ANY : MOTET_TO_ALL);
    }
}

/* ---- Each in turn ----------------------------------------------------------
 */

static void ask_for_move(struct motet_self *self, struct worker *k)
{
    struct points *p = k->work->world->points;
    char name[WORKER_NAME_SIZE];
    Motet__ControlRequest q = MOTET__CONTROL_REQUEST__INIT;
    Motet__ControlMigrate m = MOTET__CONTROL_MIGRATE__INIT;
    q.op = MOTET__CONTROL_REQUEST__OP__MIGRATE;
    q.migrate = &m;
    m.has_to = 1;
    m.to = k->work->world->node[DESTINATION].id;
    if (p->point->port) {
        m.has_hi = 1;
        m.has_lo = 1;
        m.hi = p->port[0].hi;
        m.lo = p->port[0].lo;
        (void)worker_name(DESTINATION, 1, name);
        m.receiver = name;
    } else {
        (void)worker_name(SOURCE, 1, name);
        m.actor = name;
    }
    p->asked = true;
    moving_ask(self, k, k->port[0].ui, &q);
}

/* Closed for a while, so that there is a queue when it moves. */
static void close_second(struct motet_self *self, struct worker *k)
{
    const struct points *p = k->work->world->points;
    const uint64_t now_ns = k->work->world->now_ns;
    if (now_ns + closed_before_ns >= p->asked_ns && now_ns < p->asked_ns &&
        k->port[1].enable_ns == 0 &&
        motet_actor_port_enable(self, k->port[1].ui, false, 0) == MOTET_OK) {
        k->port[1].enable_ns = p->asked_ns + busy_after_ns;
    }
}

static void be_subject(struct motet_self *self, struct worker *k)
{
    struct points *p = k->work->world->points;
    const struct motet_ui site =
        motet_ui_of_site(k->work->world->node[DESTINATION].id);
    struct motet_ui(*first)[2] = p->first;
    p->port[0] = ui_is_zero(p->port[0]) ? k->port[0].ui : p->port[0];
    p->port[1] = k->port[1].ui;
    close_second(self, k);
    if (ui_is_zero(k->port[0].ui)) {
        return; /* it has moved */
    }
    switch (k->ops < 8 ? k->ops : 8 + k->ops % 4) {
    case 0:
        join(self, k);
        break;
    case 4:
        watch(self, k, 0, first[CLIENTS][0]);
        break;
    case 5:
        watch(self, k, 1, site);
        break;
    case 6:
        watch(self, k, 2, first[DESTINATION][0]);
        break;
    case 8:
        send(self, k, first[CLIENTS][0], 0);
        break;
    case 9:
        call(self, k, first[DESTINATION][0], timeout_ms(k));
        break;
    case 10:
        send(self, k, first[DESTINATION][0], 0);
        break;
    case 11:
        call(self, k, first[CLIENTS][1], timeout_ms(k));
        break;
    default: /* all begin first */
        break;
    }
}

static void be_client(struct motet_self *self, struct worker *k)
{
    const struct points *p = k->work->world->points;
    if (ui_is_zero(p->port[0]) || ui_is_zero(k->port[0].ui)) {
        return;
    }
    switch (k->ops < 8 ? k->ops : 8 + k->ops % 5) {
    case 4:
        watch(self, k, 0, p->port[0]);
        break;
    case 5:
        if (k->number == 0) {
            join(self, k);
        }
        break;
    case 8:
        send(self, k, p->port[0], 0);
        break;
    case 9:
        call(self, k, p->port[1], timeout_ms(k));
        break;
    case 10:
        send(self, k, p->port[1], 0);
        break;
    case 11:
        call(self, k, p->port[0], timeout_ms(k));
        break;
    case 12:
        to_group(self, k);
        break;
    default:
        break;
    }
}

static void op(struct motet_self *self, struct worker *k)
{
    struct world *w = k->work->world;
    struct points *p = w->points;
    p->first[k->home->index][k->number] = k->port[0].ui;
    if (is_subject(k)) {
        be_subject(self, k);
    } else if (is_worker(k, CLIENTS, 0)) {
        if (k->ops >= 8 && !ui_is_zero(p->port[0])) {
            call(self, k, p->port[0], CALLER_MS);
        }
    } else if (is_worker(k, SOURCE, 0) && !p->asked &&
               w->now_ns >= p->asked_ns) {
        ask_for_move(self, k);
    } else {
        be_client(self, k);
    }
    k->ops++;
}

const struct story points_story = {
    .ports = 2,
    .op = op,
    .wait_ns = wait_ns,
    .draw = draw_request,
    .size = size_of,
};
