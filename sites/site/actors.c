#include <string.h>

#include "inside.h"

#define FROZEN_NS UINT64_C(2000000) /* until a timer is looked at again */

void actors_init(struct site *s)
{
    list_init(&s->actors);
    map_init(&s->actor_by_ui, &s->own, prng_next(&s->prng));
    deadlines_init(&s->timers, &s->own);
    ring_init(&s->events, &s->own, sizeof(struct actor_event));
}

struct motet_self *actors_find(const struct site *s, struct motet_ui ui)
{
    return map_get(&s->actor_by_ui, ui.hi, ui.lo);
}

/* Whether it is not to be heard now: one of its ports moves. */
static bool frozen(const struct site *s, const struct motet_self *a)
{
    return a->frozen || a->embryo || nucleus_actor_frozen(s->nucleus, a->ui);
}

/* ---- start and end ---------------------------------------------------------
 */

static enum motet_err make(struct site *s, const struct motet_supervisor *table,
                           const char *name, struct motet_self **made)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = NUC_ACTOR_NEW, .name = name == NULL ? "" : name, .push = true};

    CHECK(table->on_start != NULL);
    CHECK(table->on_message != NULL);
    enum motet_err err = site_nuc(s, &in, &out);
    if (err != MOTET_OK) {
        return err;
    }
    struct motet_self *a = mem_alloc(&s->own, sizeof *a);
    CHECK(a != NULL);
    a->site = s;
    a->table = table;
    a->ui = out.ui;
    list_init(&a->timers);
    list_init(&a->blocks);
    ring_init(&a->deferred, &s->own, sizeof(struct actor_event));
    memcpy(a->name, in.name, strlen(in.name) + 1);
    if (table->state_bytes > 0) {
        a->state = mem_alloc(&s->own, table->state_bytes);
        CHECK(a->state != NULL);
    }
    CHECK(map_put(&s->actor_by_ui, a->ui.hi, a->ui.lo, a));
    list_append(&s->actors, &a->link);
    *made = a;
    return MOTET_OK;
}

static enum motet_err set_adopts(struct site *s, const struct motet_self *a,
                                 bool adopts)
{
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_ACTOR_ADOPTS, .actor = a->ui, .in = adopts};

    return site_nuc(s, &in, &out);
}

enum motet_err site_spawn(struct site *s, const struct motet_supervisor *table,
                          const char *name, const char *args)
{
    struct motet_self *a;
    enum motet_err err = make(s, table, name, &a);

    if (err != MOTET_OK) {
        return err;
    }
    if (table->on_adopt != NULL) {
        err = set_adopts(s, a, true);
        (void)err; /* at the memory cap it takes none */
    }
    if (args != NULL) {
        a->args_bytes = strlen(args) + 1;
        a->args = mem_alloc(&s->own, a->args_bytes);
        CHECK(a->args != NULL);
        memcpy(a->args, args, a->args_bytes);
    }
    s->starting++;
    return MOTET_OK;
}

static void actor_free(struct site *s, struct motet_self *a)
{
    struct actor_event *event;

    while ((event = ring_pop(&a->deferred)) != NULL) {
        buf_unref(event->e.msg.data);
    }
    ring_fini(&a->deferred);
    list_foreach (it, &a->timers) {
        struct actor_timer *t = LIST_ENTRY(it, struct actor_timer, link);
        deadline_clear(&s->timers, &t->deadline);
        list_remove(&t->link);
        mem_free(&s->own, t, sizeof *t);
    }
    self_drop_blocks(a);
    map_remove(&s->actor_by_ui, a->ui.hi, a->ui.lo);
    list_remove(&a->link);
    mem_free(&s->own, a->state, a->table->state_bytes);
    mem_free(&s->own, a->args, a->args_bytes);
    mem_free(&s->own, a, sizeof *a);
}

static void actor_stop(struct site *s, struct motet_self *a)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = NUC_ACTOR_END, .actor = a->ui, .news = MOTET_NEWS_CLOSED};

    if (a->started && !a->moved && a->table->on_stop != NULL) {
        a->table->on_stop(a, a->state);
    }
    s->starting -= a->started || a->embryo ? 0 : 1;
    s->ending -= a->ending ? 1 : 0;
    enum motet_err err = site_nuc(s, &in, &out);
    CHECK(err == MOTET_OK);
    actor_free(s, a);
}

void actors_fini(struct site *s)
{
    struct actor_event *event;

    while ((event = ring_pop(&s->events)) != NULL) {
        buf_unref(event->e.msg.data);
    }
    list_foreach (it, &s->actors) {
        actor_free(s, LIST_ENTRY(it, struct motet_self, link));
    }
    ring_fini(&s->events);
    deadlines_fini(&s->timers);
    map_fini(&s->actor_by_ui);
}

void actors_stop(struct site *s)
{
    list_foreach (it, &s->actors) {
        actor_stop(s, LIST_ENTRY(it, struct motet_self, link));
    }
}

static void start_all(struct site *s)
{
    list_foreach (it, &s->actors) {
        struct motet_self *a = LIST_ENTRY(it, struct motet_self, link);
        if (a->started || a->embryo) {
            continue;
        }
        a->started = true;
        s->starting--;
        enum motet_err err = a->table->on_start(a, a->state, a->args);
        if (err != MOTET_OK) {
            struct site_log *l =
                &site_note(s, SITE_LOG, a->name, NULL, NULL)->e.log;
            l->kind = SITE_LOG_ACTOR;
            l->err = err;
            motet_actor_end(a);
        }
    }
}

static void end_all(struct site *s)
{
    list_foreach (it, &s->actors) {
        struct motet_self *a = LIST_ENTRY(it, struct motet_self, link);
        if (a->ending) {
            actor_stop(s, a);
        }
    }
}

/* ---- events ----------------------------------------------------------------
 */

bool actors_take(struct site *s, const struct nuc_effect *e)
{
    struct motet_self *a = actors_find(s, e->actor);

    if (a == NULL) {
        return false;
    }
    /* Whose a port is it hears before its timers: they may use it. */
    const bool first = e->kind == NUC_PORT_MOVED || e->kind == NUC_PORT_ADOPTED;
    memcpy(ring_push(first || frozen(s, a) ? &a->deferred : &s->events), e,
           sizeof *e);
    return true;
}

static void forget(const struct ring *r, const struct motet_self *a,
                   struct motet_ui port, uint64_t watch)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct actor_event *event = ring_at(r, i);
        const struct nuc_effect *e = &event->e;
        const bool of_port = e->port.hi == port.hi && e->port.lo == port.lo;
        const bool of_watch = e->msg.kind == MSG_NEWS && e->watch == watch;
        if (e->kind == NUC_DELIVER && e->actor.hi == a->ui.hi &&
            e->actor.lo == a->ui.lo && (of_port || (watch != 0 && of_watch))) {
            event->e.actor = (struct motet_ui){0, 0}; /* of nobody */
        }
    }
}

void actors_forget(struct motet_self *a, struct motet_ui port, uint64_t watch)
{
    forget(&a->site->events, a, port, watch);
    forget(&a->deferred, a, port, watch);
}

static struct motet_view view_of(const struct nuc_effect *e)
{
    const struct msg *m = &e->msg;
    const uint8_t *data = m->data == NULL ? NULL : m->data->data;

    return (struct motet_view){
        .port = e->port,
        .source = e->src,
        .target = e->target,
        .pi = m->pi,
        .held = e->held,
        .seq = e->seq,
        .remaining_ms = m->remaining_ms,
        .annex = data,
        .annex_bytes = m->annex_bytes,
        .body = data == NULL ? NULL : data + m->annex_bytes,
        .body_bytes = msg_body_bytes(m),
    };
}

static enum motet_event_kind event_kind(const struct nuc_effect *e)
{
    switch (e->kind) {
    case NUC_DELIVER:
        return MOTET_EVENT_NEWS;
    case NUC_SENT:
        return MOTET_EVENT_SENT;
    case NUC_CALL_DONE:
        return MOTET_EVENT_CALL_DONE;
    case NUC_ROOM:
        return MOTET_EVENT_ROOM;
    case NUC_CANCELLED:
        return MOTET_EVENT_CANCELLED;
    case NUC_PORT_GONE:
        return MOTET_EVENT_PORT_GONE;
    case NUC_PORT_ADOPTED:
        return MOTET_EVENT_PORT_ADOPTED;
    case NUC_PORT_MOVED:
        return MOTET_EVENT_PORT_MOVED;
    case NUC_RECEIVE_END:
    case NUC_TO_NET:
    case NUC_NET_CANCEL:
    case NUC_NET_ROOM:
    case NUC_NET_PORT_END:
    case NUC_PUBLISH:
        break;
    }
    check_failed("an effect for an actor", __FILE__, __LINE__);
}

static void give_event(struct motet_self *a, const struct nuc_effect *e)
{
    struct motet_view reply;
    struct motet_event event = {
        .kind = event_kind(e),
        .err = e->err,
        .port = e->port,
        .dest = e->dst,
        .subject = e->subject,
        .news = e->news,
        .token = e->token,
        .call = e->call,
        .held = e->held,
        .watch = e->watch,
        .seq = e->seq,
        .cap = {.ui = e->port, .key = e->key},
    };

    if (a->table->on_event == NULL) {
        return;
    }
    if (e->kind == NUC_CALL_DONE && e->err == MOTET_OK) {
        reply = view_of(e);
        event.reply = &reply;
    }
    a->table->on_event(a, a->state, &event);
}

static void run_event(struct site *s, const struct nuc_effect *e)
{
    struct motet_self *a = actors_find(s, e->actor);

    if (a == NULL || a->ending) {
        return;
    }
    if (frozen(s, a)) { /* since it was put here */
        (void)buf_ref(e->msg.data);
        memcpy(ring_push(&a->deferred), e, sizeof *e);
        return;
    }
    if (e->kind == NUC_DELIVER && e->msg.kind != MSG_NEWS) {
        struct motet_view view = view_of(e);
        a->table->on_message(a, a->state, &view);
    } else {
        give_event(a, e);
    }
}

/* Those that were due when it began: one armed on the way waits for the next
 * tick, or an actor that asks for no delay would stop the loop. */
static void run_timers(struct site *s)
{
    uint32_t most = s->timers.count;
    struct deadline *d;

    while (most-- > 0 && (d = deadlines_pop(&s->timers, s->now_ns)) != NULL) {
        struct actor_timer *t = CONTAINER_OF(d, struct actor_timer, deadline);
        struct motet_self *a = t->self;
        uint64_t id = t->id;
        if (frozen(s, a)) {
            CHECK(deadline_set(&s->timers, d, s->now_ns + FROZEN_NS));
            continue;
        }
        list_remove(&t->link);
        mem_free(&s->own, t, sizeof *t);
        a->timer_count--;
        if (a->table->on_timer != NULL && !a->ending) {
            a->table->on_timer(a, a->state, id);
        }
    }
}

/* What was put off is heard now, before what comes. */
static void hear_deferred(struct site *s)
{
    list_foreach (it, &s->actors) {
        struct motet_self *a = LIST_ENTRY(it, struct motet_self, link);
        const struct actor_event *event;
        while (!frozen(s, a) && (event = ring_pop(&a->deferred)) != NULL) {
            struct nuc_effect e = event->e;
            run_event(s, &e);
            buf_unref(e.msg.data);
        }
    }
}

static bool any_deferred(const struct site *s)
{
    list_foreach (it, &s->actors) {
        const struct motet_self *a =
            LIST_ENTRY(it, const struct motet_self, link);
        if (a->deferred.count > 0 && !frozen(s, a)) {
            return true;
        }
    }
    return false;
}

bool actors_quiet(const struct site *s, struct motet_ui ui)
{
    for (uint32_t i = 0; i < s->events.count; i++) {
        const struct actor_event *event = ring_at(&s->events, i);
        if (event->e.actor.hi == ui.hi && event->e.actor.lo == ui.lo) {
            return false;
        }
    }
    const struct motet_self *a = actors_find(s, ui);
    return a == NULL || (a->started && a->deferred.count == 0);
}

void actors_run(struct site *s)
{
    if (s->starting > 0) {
        start_all(s);
    }
    hear_deferred(s);
    run_timers(s);
    for (uint32_t i = 0; i < SITE_EVENTS_PER_TICK; i++) {
        const struct actor_event *event = ring_pop(&s->events);
        if (event == NULL) {
            break;
        }
        struct nuc_effect e = event->e; /* its slot may be pushed over */
        run_event(s, &e);
        buf_unref(e.msg.data);
    }
    if (s->ending > 0) {
        end_all(s);
    }
}

bool actors_ready(const struct site *s)
{
    return s->starting > 0 || s->ending > 0 || s->events.count > 0 ||
           any_deferred(s);
}

void *site_actor_state(struct site *s, const char *name)
{
    list_foreach (it, &s->actors) {
        struct motet_self *a = LIST_ENTRY(it, struct motet_self, link);
        if (strcmp(a->name, name) == 0) {
            return a->state;
        }
    }
    return NULL;
}

/* ---- moving ----------------------------------------------------------------
 */

void actors_thaw(struct site *s, struct motet_self *a)
{
    (void)s;
    if (a != NULL) {
        a->frozen = false;
    }
}

void actors_moved(struct site *s, struct motet_self *a)
{
    s->ending += a->ending ? 0 : 1;
    a->ending = true;
    a->moved = true;
}

enum motet_err actors_embryo(struct site *s, const char *kind, const char *name,
                             struct motet_self **a)
{
    const struct motet_supervisor *table =
        s->cfg.actor_kind != NULL ? s->cfg.actor_kind(s->cfg.actor_ctx, kind)
                                  : NULL;

    if (table == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    if (table->save == NULL || table->restore == NULL) {
        return MOTET_E_DECLINED;
    }
    enum motet_err err = make(s, table, name, a);
    if (err != MOTET_OK) {
        return err;
    }
    (*a)->embryo = true;
    err = set_adopts(s, *a, true);
    if (err != MOTET_OK) {
        actors_moved(s, *a);
        *a = NULL;
    }
    return err;
}

enum motet_err actors_fit(struct site *s, struct motet_self *a,
                          const struct image_item *it)
{
    if (it->kind == IMAGE_ACTOR) {
        return a->table->restore(a->state,
                                 it->data != NULL ? it->data->data : NULL,
                                 it->data != NULL ? it->data->size : 0)
                   ? MOTET_OK
                   : MOTET_E_DECLINED;
    }
    const uint64_t most_ns = DEADLINE_NEVER - 1 - s->now_ns;
    return motet_actor_timer(a, it->id,
                             it->left_ns < most_ns ? it->left_ns : most_ns);
}

void actors_arrived(struct site *s, struct motet_self *a)
{
    enum motet_err err = MOTET_OK;

    a->embryo = false;
    a->started = true;
    if (a->table->on_adopt == NULL) {
        err = set_adopts(s, a, false);
    }
    (void)err; /* it takes more than it said, and declines */
}

bool actors_consent(struct site *s, struct motet_ui actor, struct motet_ui port)
{
    struct motet_self *a = actors_find(s, actor);

    /* One that is on its way here may yet stay where it was. */
    return a == NULL || (!a->ending && !a->frozen && !a->embryo &&
                         a->table->on_adopt != NULL &&
                         a->table->on_adopt(a, a->state, port));
}
