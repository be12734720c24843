#include <stdio.h>
#include <string.h>

#include "nucleus/base/cursor.h"
#include "work.h"

enum {
    TIMER_OP = 1,
    DRAIN_MS = 50, /* between two looks of a worker that drains */
    LABEL_BYTES = 16,
};

bool ui_is_zero(struct motet_ui ui)
{
    return ui.hi == 0 && ui.lo == 0;
}

bool worker_owns(const struct worker *k, struct motet_ui port)
{
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (motet_ui_equal(k->port[i].ui, port)) {
            return true;
        }
    }
    return false;
}

struct check_event worker_event(const struct worker *k, enum check_what what,
                                struct motet_ui port)
{
    return (struct check_event){
        .now_ns = k->work->world->now_ns,
        .site = k->node->id,
        .incarnation = k->node->incarnation,
        .what = what,
        .port = port,
        .deadline_ns = DEADLINE_NEVER,
    };
}

void worker_feed(struct worker *k, const struct check_event *e)
{
    struct world *w = k->work->world;
    if (w->opt->trace != NULL) {
        char port[WORLD_UI_SIZE];
        char peer[WORLD_UI_SIZE];
        world_trace(w, k->node, '@', "%s %s %llu port %s peer %s %s%s",
                    k->node->name, check_what_name(e->what),
                    (unsigned long long)e->id, world_ui(w, e->port, port),
                    world_ui(w, e->peer, peer),
                    e->err != MOTET_OK ? motet_err_name(e->err) : "",
                    e->what == CHECK_NEWS ? "news" : "");
    }
    world_tell(w, e);
}

struct motet_out worker_out(struct worker *k, uint64_t id, size_t size,
                            uint8_t *annex)
{
    memset(annex, (int)(id & 0xff), MOTET_ANNEX_MAX);
    struct writer w = writer_of(annex, MOTET_ANNEX_MAX);
    write_u64(&w, id);
    write_u64(&w, size);
    const size_t extra = id % (MOTET_ANNEX_MAX - LABEL_BYTES + 1);
    return (struct motet_out){
        .annex = {.data = annex, .size = LABEL_BYTES + extra},
        .body = {.data = k->work->pattern + id % PATTERN_SHIFT, .size = size},
    };
}

bool worker_read(const struct worker *k, const struct motet_view *v,
                 struct label *label)
{
    struct reader r = reader_of(v->annex, v->annex_bytes);
    label->id = read_u64(&r);
    label->size = read_u64(&r);
    if (!reader_ok(&r) || label->size != v->body_bytes ||
        label->size > BODY_MAX) {
        return false;
    }
    const size_t extra = label->id % (MOTET_ANNEX_MAX - LABEL_BYTES + 1);
    if (v->annex_bytes != LABEL_BYTES + extra) {
        return false;
    }
    while (reader_left(&r) > 0) {
        if (read_u8(&r) != (label->id & 0xff)) {
            return false;
        }
    }
    return label->size == 0 ||
           memcmp(v->body, k->work->pattern + label->id % PATTERN_SHIFT,
                  label->size) == 0;
}

const char *worker_name(uint32_t home, uint32_t number,
                        char name[WORKER_NAME_SIZE])
{
    (void)snprintf(name, WORKER_NAME_SIZE, "worker%u.%u", number, home);
    return name;
}

static void again(struct motet_self *self, struct worker *k)
{
    const struct work *work = k->work;
    uint64_t ns = DRAIN_MS * MS;
    if (!work->draining) {
        struct prng p;
        prng_init(&p, motet_actor_random(self));
        ns = 1 + prng_exponential(&p, work->world->tuning.op_mean_ns);
        ns = ns > SECOND ? SECOND : ns;
        ns = work->story != NULL ? work->story->wait_ns(k) : ns;
    }
    if (motet_actor_timer(self, TIMER_OP, ns) != MOTET_OK) {
        motet_actor_end(self); /* no memory: it is started anew */
    }
}

static enum motet_err on_start(struct motet_self *self, void *state,
                               const char *args)
{
    struct worker *k = state;
    k->ui = motet_actor_ui(self);
    worker_settle(k, args);
    const struct check_event e = worker_event(k, CHECK_UI_ISSUED, k->ui);
    worker_feed(k, &e);
    const uint64_t drawn = 1 + motet_actor_random(self) % PORTS_MAX;
    const struct story *story = k->work->story;
    const uint64_t ports = story != NULL ? story->ports : drawn;
    for (uint32_t i = 0; i < ports; i++) {
        ops_open_port(self, k, i);
    }
    again(self, k);
    return MOTET_OK;
}

/* Keeps a request for later, if there is room. */
static void hold(struct motet_self *self, struct worker *k,
                 struct my_held *held)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (k->held[i].held == 0) {
            k->held[i] = *held;
            return;
        }
    }
    if (!held->over) {
        ops_answer_one(self, k, held);
    }
    if (held->over) { /* and we shall not know it when we are told */
        struct check_event e = worker_event(k, CHECK_CANCELLED, held->port);
        e.id = held->id;
        worker_feed(k, &e);
    }
}

static void on_request(struct motet_self *self, struct worker *k,
                       const struct motet_view *v, uint64_t id)
{
    const struct story *story = k->work->story;
    const uint64_t drawn = motet_actor_random(self) % 100;
    const uint64_t draw = story != NULL ? story->draw(k, v, drawn) : drawn;
    struct my_held now = {.held = v->held, .id = id, .port = v->port};
    struct check_event e = worker_event(k, CHECK_FORWARD, v->port);
    e.id = id;
    if (draw < 15 && !k->work->draining) {
        const struct motet_dest dest = {.target = ops_draw_port(self, k)};
        e.peer = dest.target;
        if (!ui_is_zero(dest.target) &&
            (v->remaining_ms != 0 || ops_heard_of(k, dest.target))) {
            e.err = motet_actor_forward(self, v->held, &dest);
            worker_feed(k, &e);
            if (e.err == MOTET_OK) {
                return;
            }
        }
    }
    e = worker_event(k, CHECK_EXECUTE, v->port);
    e.id = id;
    worker_feed(k, &e);
    const bool soon = draw < 60 || k->work->draining;
    if (soon) {
        ops_answer_one(self, k, &now);
    } else if (draw < 90 || v->remaining_ms == 0) {
        now.answer_ns =
            k->work->world->now_ns + motet_actor_random(self) % (2 * SECOND);
    } else {
        now.answer_ns = DEADLINE_NEVER;
    }
    if (now.held != 0) {
        hold(self, k, &now);
    }
}

static void on_message(struct motet_self *self, void *state,
                       const struct motet_view *view)
{
    struct worker *k = state;
    struct label label = {0};
    if (!moving_arrived(self, k)) {
        return;
    }
    struct check_event e = worker_event(k, CHECK_DELIVER, view->port);
    e.broken = !worker_read(k, view, &label);
    e.id = label.id;
    e.peer = view->source;
    worker_feed(k, &e);
    if (view->held != 0) {
        on_request(self, k, view, label.id);
    }
}

static void on_call_done(struct worker *k, const struct motet_event *event)
{
    struct check_event e = worker_event(k, CHECK_CALL_END, event->port);
    e.err = event->err;
    if (moving_answer(k, event)) {
        return;
    }
    e.id = moving_recall(k->work, CHECK_CALL_BEGIN, event->port, event->call);
    struct label label = {0};
    if (event->reply != NULL && worker_read(k, event->reply, &label)) {
        e.value = label.id;
    }
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        struct my_call *c = &k->call[i];
        if (c->call != event->call || c->call == 0) {
            continue;
        }
        if (c->probe != 0 && event->err == MOTET_OK) {
            k->work->answered[k->node->index][c->probe - 1] = true;
        }
        *c = (struct my_call){0};
        break;
    }
    worker_feed(k, &e);
}

static void on_news(struct worker *k, const struct motet_event *event)
{
    struct check_event e = worker_event(k, CHECK_NEWS, event->port);
    e.peer = event->subject;
    e.news = event->news;
    e.id = moving_recall(k->work, CHECK_WATCH_BEGIN, event->port, event->watch);
    for (uint32_t i = 0; i < WATCHES_MAX; i++) {
        struct my_watch *x = &k->watch[i];
        if (x->watch != event->watch || x->watch == 0) {
            continue;
        }
        if (event->news <= MOTET_NEWS_LEFT) {
            *x = (struct my_watch){0};
        }
        break;
    }
    worker_feed(k, &e);
}

static void on_cancelled(struct worker *k, const struct motet_event *event)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        struct my_held *h = &k->held[i];
        if (h->held == event->held && h->held != 0) {
            struct check_event e = worker_event(k, CHECK_CANCELLED, h->port);
            e.id = h->id;
            worker_feed(k, &e);
            *h = (struct my_held){0};
        }
    }
}

static void on_room(struct worker *k, const struct motet_event *event)
{
    for (uint32_t i = 0; i < AGAIN_MAX; i++) {
        struct my_again *a = &k->again[i];
        if (motet_ui_equal(a->port, event->port) &&
            motet_ui_equal(a->dest, event->dest)) {
            *a = (struct my_again){0};
        }
    }
}

static void on_port_gone(struct worker *k, const struct motet_event *event)
{
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (motet_ui_equal(k->port[i].ui, event->port)) {
            struct check_event e = worker_event(k, CHECK_PORT_END, event->port);
            worker_feed(k, &e);
            k->port[i] = (struct my_port){0};
        }
    }
}

static void on_event(struct motet_self *self, void *state,
                     const struct motet_event *event)
{
    struct worker *k = state;
    if (!moving_arrived(self, k)) {
        return;
    }
    struct check_event e = worker_event(k, CHECK_SEND_END, event->port);
    switch (event->kind) {
    case MOTET_EVENT_SENT:
        e.id = event->token;
        e.peer = event->dest;
        e.err = event->err;
        worker_feed(k, &e);
        break;
    case MOTET_EVENT_CALL_DONE:
        on_call_done(k, event);
        break;
    case MOTET_EVENT_NEWS:
        on_news(k, event);
        break;
    case MOTET_EVENT_CANCELLED:
        on_cancelled(k, event);
        break;
    case MOTET_EVENT_ROOM:
        on_room(k, event);
        break;
    case MOTET_EVENT_PORT_GONE:
        on_port_gone(k, event);
        break;
    case MOTET_EVENT_PORT_ADOPTED:
        moving_adopted(self, k, event);
        break;
    case MOTET_EVENT_PORT_MOVED:
        moving_moved(k, event->port);
        break;
    default:
        CHECK(event->kind == MOTET_EVENT_SENT);
    }
}

static void on_timer(struct motet_self *self, void *state, uint64_t timer)
{
    struct worker *k = state;
    const bool all = k->work->draining;
    CHECK(timer == TIMER_OP);
    if (!moving_arrived(self, k)) {
        return;
    }
    ops_enable(self, k, all);
    ops_answer(self, k, all);
    if (!all) {
        ops_random(self, k);
    } else if (k->work->probing) {
        ops_probe(self, k);
    }
    again(self, k);
}

static void on_stop(struct motet_self *self, void *state)
{
    struct worker *k = state;
    if (!moving_arrived(self, k)) {
        return;
    }
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (!ui_is_zero(k->port[i].ui) &&
            owners_here(k->work, k->port[i].ui, k->node)) {
            const struct check_event e =
                worker_event(k, CHECK_PORT_END, k->port[i].ui);
            worker_feed(k, &e);
        }
    }
    moving_stop(k);
    if (k->node == k->home) {
        k->work->gone[k->node->index][k->number] = true;
    }
}

const struct motet_supervisor worker_table = {
    .name = "worker",
    .state_bytes = sizeof(struct worker),
    .on_start = on_start,
    .on_message = on_message,
    .on_event = on_event,
    .on_timer = on_timer,
    .on_stop = on_stop,
    .save = moving_save,
    .restore = moving_restore,
    .on_adopt = moving_adopt,
};
