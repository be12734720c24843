#include <stdio.h>

#include "nucleus/base/ui.h"
#include "work.h"

static uint64_t below(struct motet_self *self, uint64_t bound)
{
    return motet_actor_random(self) % bound;
}

static uint64_t now(const struct worker *k)
{
    return k->work->world->now_ns;
}

/* A port of this worker; NULL if the draw hit an empty place. */
static struct my_port *draw_mine(struct motet_self *self, struct worker *k)
{
    struct my_port *p = &k->port[below(self, PORTS_MAX)];
    return ui_is_zero(p->ui) ? NULL : p;
}

static bool spot_lives(const struct spot *s)
{
    return s->live && s->node->site != NULL && s->node->life == s->life;
}

struct motet_ui ops_draw_port(struct motet_self *self, struct worker *k)
{
    const struct work *work = k->work;
    const uint32_t count = work->spots < TARGETS ? work->spots : TARGETS;
    if (below(self, 200) == 0) { /* never made */
        const uint64_t site = k->node->id + below(self, 2);
        const uint32_t serial = UI_SERIAL_MAX - (uint32_t)below(self, 10);
        return ui_make(site, k->node->incarnation, UI_PORT, serial);
    }
    struct motet_ui ui = {0};
    for (uint32_t tries = 0; tries < 6 && count > 0; tries++) {
        const uint64_t back = below(self, count); /* from the latest */
        const struct spot *s = &work->spot[(work->spots - 1 - back) % SPOTS];
        ui = s->ui;
        if (spot_lives(s)) {
            break;
        }
    }
    return ui;
}

/* ---- Ports -----------------------------------------------------------------
 */

void ops_open_port(struct motet_self *self, struct worker *k, uint32_t index)
{
    struct work *work = k->work;
    struct motet_cap cap;
    uint32_t msgs_max = 0; /* the default */
    uint32_t bytes_max = 0;
    if (below(self, 4) == 0) {
        msgs_max = 1 + (uint32_t)below(self, 8);
        bytes_max = (uint32_t)below(self, 100000);
    }
    const enum motet_err err =
        motet_actor_port_new_limited(self, msgs_max, bytes_max, &cap);
    if (err != MOTET_OK) {
        return;
    }
    k->port[index] = (struct my_port){.ui = cap.ui};
    const struct check_event e = worker_event(k, CHECK_PORT_BEGIN, cap.ui);
    worker_feed(k, &e);
    work->spot[work->spots++ % SPOTS] = (struct spot){
        .ui = cap.ui,
        .node = k->node,
        .life = k->node->life,
        .live = true,
        .owner = k->ui,
    };
}

struct spot *ops_spot(struct work *work, struct motet_ui port)
{
    for (uint32_t i = 0; i < SPOTS && i < work->spots; i++) {
        if (motet_ui_equal(work->spot[i].ui, port)) {
            return &work->spot[i];
        }
    }
    return NULL;
}

void ops_forget_spot(struct work *work, struct motet_ui ui)
{
    struct spot *s = ops_spot(work, ui);
    if (s != NULL) {
        s->live = false;
    }
}

void ops_forget_again(struct worker *k, struct motet_ui port)
{
    for (uint32_t i = 0; i < AGAIN_MAX; i++) {
        if (motet_ui_equal(k->again[i].port, port)) {
            k->again[i] = (struct my_again){0};
        }
    }
}

static void end_port(struct worker *k, struct my_port *p)
{
    const struct check_event e = worker_event(k, CHECK_PORT_END, p->ui);
    worker_feed(k, &e);
    ops_forget_spot(k->work, p->ui);
    ops_forget_again(k, p->ui);
    *p = (struct my_port){0};
}

static void op_port(struct motet_self *self, struct worker *k)
{
    const uint32_t index = (uint32_t)below(self, PORTS_MAX);
    struct my_port *p = &k->port[index];
    if (ui_is_zero(p->ui)) {
        ops_open_port(self, k, index);
    } else if (below(self, 3) == 0) {
        const struct motet_ui ui = p->ui;
        end_port(k, p);
        CHECK(motet_actor_port_end(self, ui) == MOTET_OK);
    }
}

static void op_disable(struct motet_self *self, struct worker *k)
{
    struct my_port *p = draw_mine(self, k);
    if (p != NULL && p->enable_ns == 0 &&
        motet_actor_port_enable(self, p->ui, false, 0) == MOTET_OK) {
        p->enable_ns = now(k) + 1 + below(self, 5 * SECOND);
    }
}

/* A slow actor has its ports closed half of the time, and long; a stuck one
 * does not open any. */
static void be_slow(struct motet_self *self, struct worker *k,
                    enum manner manner)
{
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        struct my_port *p = &k->port[i];
        if (ui_is_zero(p->ui) || p->enable_ns != 0 ||
            (manner == MANNER_SLOW && below(self, 2) == 0)) {
            continue;
        }
        if (motet_actor_port_enable(self, p->ui, false, 0) == MOTET_OK) {
            p->enable_ns = now(k) + 1 + below(self, 2 * SECOND);
        }
    }
}

void ops_enable(struct motet_self *self, struct worker *k, bool all)
{
    const enum manner manner = k->work->manner[k->node->index];
    if (manner == MANNER_STUCK) {
        be_slow(self, k, manner);
        return;
    }
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        struct my_port *p = &k->port[i];
        if (p->enable_ns != 0 && (all || p->enable_ns <= now(k)) &&
            motet_actor_port_enable(self, p->ui, true,
                                    (uint8_t)below(self, 4)) == MOTET_OK) {
            p->enable_ns = 0;
        }
    }
    if (all && ui_is_zero(k->port[0].ui)) {
        ops_open_port(self, k, 0);
    }
    if (manner == MANNER_SLOW) {
        be_slow(self, k, manner);
    }
}

static void op_end(struct motet_self *self, struct worker *k)
{
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (!ui_is_zero(k->port[i].ui)) {
            end_port(k, &k->port[i]);
        }
    }
    motet_actor_end(self);
}

/* ---- Groups ----------------------------------------------------------------
 */

static bool draw_group(struct motet_self *self, struct worker *k,
                       struct motet_cap *cap)
{
    struct work *work = k->work;
    char name[8];
    const uint64_t draw = below(self, GROUPS + 2);
    if (draw < GROUPS || work->dynamics == 0) {
        (void)snprintf(name, sizeof name, "g%u", (unsigned)(draw % GROUPS));
        return motet_actor_group(self, name, cap) == MOTET_OK;
    }
    const uint32_t count = work->dynamics < DYNAMIC_GROUPS
                               ? work->dynamics
                               : (uint32_t)DYNAMIC_GROUPS;
    *cap = work->dynamic[below(self, count)];
    return true;
}

static void op_group(struct motet_self *self, struct worker *k)
{
    struct work *work = k->work;
    struct motet_cap cap;
    struct my_port *p = draw_mine(self, k);
    if (below(self, 20) == 0 &&
        motet_actor_group(self, NULL, &cap) == MOTET_OK) {
        work->dynamic[work->dynamics++ % DYNAMIC_GROUPS] = cap;
        const struct check_event made =
            worker_event(k, CHECK_UI_ISSUED, cap.ui);
        worker_feed(k, &made);
    }
    if (p == NULL || !draw_group(self, k, &cap)) {
        return;
    }
    const bool in = below(self, 3) > 0;
    struct check_event e =
        worker_event(k, in ? CHECK_JOIN : CHECK_LEAVE, p->ui);
    e.peer = cap.ui;
    e.err = in ? motet_actor_join(self, &cap, p->ui)
               : motet_actor_leave(self, &cap, p->ui);
    if (e.err == MOTET_OK) {
        worker_feed(k, &e);
        groups_note(work, cap.ui, p->ui, in);
    }
}

/* ---- Messages --------------------------------------------------------------
 */

static int64_t draw_timeout(struct motet_self *self)
{
    const uint64_t draw = below(self, 20);
    if (draw == 0) {
        return 0;
    }
    if (draw < 4) {
        return (int64_t)(1 + below(self, 50));
    }
    if (draw < 12) {
        return (int64_t)(50 + below(self, 2000));
    }
    return draw < 18 ? (int64_t)(2000 + below(self, 8000)) : MOTET_FOREVER;
}

/* A datagram path is for small messages: one of 1,024 packets needs as many
 * rounds there as it loses packets. */
static size_t draw_size(struct motet_self *self, const struct worker *k)
{
    if (k->work->story != NULL) {
        return k->work->story->size(k);
    }
    if (k->work->world->tuning.datagram_pairs == 0 && below(self, 500) == 0) {
        return BODY_MAX - below(self, 2);
    }
    const uint64_t bits = below(self, 17);
    return below(self, 1ULL << bits);
}

/* Where to, and until when: into the event and the destination. */
static bool draw_dest(struct motet_self *self, struct worker *k,
                      struct check_event *e, struct motet_dest *dest)
{
    *dest = (struct motet_dest){0};
    if (below(self, 4) == 0) {
        struct motet_cap cap;
        if (!draw_group(self, k, &cap)) {
            return false;
        }
        dest->target = cap.ui;
        dest->mode = (enum motet_mode)below(self, MOTET_MODE_COUNT);
        if (dest->mode == MOTET_TO_ALL && e->what == CHECK_CALL_BEGIN) {
            dest->mode = MOTET_TO_ANY;
        }
        dest->co = ops_draw_port(self, k);
        dest->wait = e->deadline_ns != DEADLINE_NEVER && below(self, 2) == 0;
    } else {
        dest->target = ops_draw_port(self, k);
    }
    if (e->deadline_ns == DEADLINE_NEVER && !ops_heard_of(k, dest->target)) {
        return false;
    }
    e->peer = dest->target;
    e->co = dest->co;
    e->how = dest->mode;
    e->wait = dest->wait;
    return !ui_is_zero(dest->target);
}

struct check_event ops_begin(struct worker *k, enum check_what what,
                             struct motet_ui port, int64_t timeout_ms)
{
    struct check_event e = worker_event(k, what, port);
    e.id = ++k->work->ids;
    if (timeout_ms >= 0) {
        e.deadline_ns = now(k) + (uint64_t)timeout_ms * MS;
    }
    return e;
}

static void expect_room(struct worker *k, struct motet_ui port,
                        struct motet_ui dest)
{
    struct my_again *free_one = NULL;
    for (uint32_t i = 0; i < AGAIN_MAX; i++) {
        struct my_again *a = &k->again[i];
        if (motet_ui_equal(a->port, port) && motet_ui_equal(a->dest, dest)) {
            return;
        }
        if (ui_is_zero(a->port)) {
            free_one = a;
        }
    }
    if (free_one != NULL) {
        *free_one = (struct my_again){.port = port, .dest = dest};
    }
}

static void op_send(struct motet_self *self, struct worker *k)
{
    uint8_t annex[MOTET_ANNEX_MAX];
    struct motet_dest dest;
    const struct my_port *p = draw_mine(self, k);
    if (p == NULL) {
        return;
    }
    const int64_t timeout_ms = draw_timeout(self);
    struct check_event e = ops_begin(k, CHECK_SEND_BEGIN, p->ui, timeout_ms);
    e.told = below(self, 10) < 7;
    if (!draw_dest(self, k, &e, &dest)) {
        return;
    }
    const struct motet_out out = worker_out(k, e.id, draw_size(self, k), annex);
    worker_feed(k, &e);
    e.err = motet_actor_send(self, p->ui, &dest, &out, timeout_ms,
                             e.told ? e.id : 0);
    if (e.err != MOTET_OK) {
        if (e.err == MOTET_E_AGAIN && !ui_is_group(dest.target)) {
            expect_room(k, p->ui, dest.target);
        }
        e.what = CHECK_SEND_END;
        worker_feed(k, &e);
    }
}

bool ops_call(struct motet_self *self, struct worker *k, struct check_event *e,
              const struct motet_dest *dest, struct my_call *slot,
              int64_t timeout_ms)
{
    uint8_t annex[MOTET_ANNEX_MAX];
    const struct motet_out out =
        worker_out(k, e->id, slot->probe ? 8 : draw_size(self, k), annex);
    worker_feed(k, e);
    e->err =
        motet_actor_call(self, e->port, dest, &out, timeout_ms, &slot->call);
    if (e->err != MOTET_OK) {
        slot->call = 0;
        e->what = CHECK_CALL_END;
        worker_feed(k, e);
        return false;
    }
    slot->id = e->id;
    slot->port = e->port;
    moving_note(k->work, CHECK_CALL_BEGIN, e->port, slot->call, e->id);
    return true;
}

struct my_call *ops_free_call(struct worker *k)
{
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        if (k->call[i].call == 0) {
            k->call[i].probe = 0;
            return &k->call[i];
        }
    }
    return NULL;
}

static void op_call(struct motet_self *self, struct worker *k)
{
    struct motet_dest dest;
    const struct my_port *p = draw_mine(self, k);
    struct my_call *slot = ops_free_call(k);
    if (p == NULL || slot == NULL) {
        return;
    }
    const int64_t timeout_ms = draw_timeout(self);
    struct check_event e = ops_begin(k, CHECK_CALL_BEGIN, p->ui, timeout_ms);
    if (draw_dest(self, k, &e, &dest)) {
        (void)ops_call(self, k, &e, &dest, slot, timeout_ms);
    }
}

static void op_cancel(struct motet_self *self, struct worker *k)
{
    struct my_call *c = &k->call[below(self, CALLS_MAX)];
    if (c->call == 0) {
        return;
    }
    struct check_event e = worker_event(k, CHECK_CALL_CANCEL, c->port);
    e.id = c->id;
    worker_feed(k, &e);
    /* Its completion may be on its way already. */
    (void)!motet_actor_cancel(self, c->call);
}

void ops_answer_one(struct motet_self *self, struct worker *k,
                    struct my_held *h)
{
    uint8_t annex[MOTET_ANNEX_MAX];
    const struct motet_out out =
        worker_out(k, h->id, k->work->draining ? 8 : draw_size(self, k), annex);
    struct check_event e = worker_event(k, CHECK_REPLY, h->port);
    e.id = h->id;
    e.err = motet_actor_reply(self, h->held, &out);
    worker_feed(k, &e);
    if (e.err == MOTET_OK ||
        (e.err == MOTET_E_STATE && (h->away || !worker_owns(k, h->port)))) {
        if (e.err != MOTET_OK) { /* nobody tells who does not own its port */
            e.what = CHECK_CANCELLED;
            worker_feed(k, &e);
        }
        *h = (struct my_held){0};
    } else if (e.err == MOTET_E_STATE) {
        h->over = true;
    } else {
        h->answer_ns = now(k) + SECOND; /* no memory: try again */
    }
}

void ops_answer(struct motet_self *self, struct worker *k, bool all)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        struct my_held *h = &k->held[i];
        if (h->held != 0 && !h->over && (all || h->answer_ns <= now(k))) {
            ops_answer_one(self, k, h);
        }
    }
}

/* ---- Watches ---------------------------------------------------------------
 */

static void op_watch(struct motet_self *self, struct worker *k)
{
    struct world *w = k->work->world;
    struct my_watch *x = &k->watch[below(self, WATCHES_MAX)];
    const struct my_port *p = draw_mine(self, k);
    struct motet_cap cap;
    if (x->watch != 0) {
        if (below(self, 4) == 0) {
            struct check_event e = worker_event(k, CHECK_UNWATCH, x->port);
            e.id = x->id;
            /* Refused: its last news are in the queue already. */
            if (motet_actor_unwatch(self, x->watch) == MOTET_OK) {
                worker_feed(k, &e);
                *x = (struct my_watch){0};
            }
        }
        return;
    }
    if (p == NULL) {
        return;
    }
    const uint64_t draw = below(self, 10);
    struct motet_ui subject = ops_draw_port(self, k);
    if (draw < 3) {
        subject = motet_ui_of_site(w->node[below(self, w->node_count)].id);
    } else if (draw == 3 && draw_group(self, k, &cap)) {
        subject = cap.ui;
    }
    struct check_event e = worker_event(k, CHECK_WATCH_BEGIN, p->ui);
    e.id = k->work->ids + 1;
    e.peer = subject;
    if (ui_is_zero(subject) || !ops_heard_of(k, subject) ||
        motet_actor_watch(self, p->ui, subject, &x->watch) != MOTET_OK) {
        x->watch = 0;
        return;
    }
    k->work->ids++;
    x->id = e.id;
    x->port = p->ui;
    x->subject = subject;
    moving_note(k->work, CHECK_WATCH_BEGIN, p->ui, x->watch, e.id);
    worker_feed(k, &e);
}

/* ---- All -------------------------------------------------------------------
 */

void ops_random(struct motet_self *self, struct worker *k)
{
    const uint64_t draw = below(self, 1000);
    if (k->work->story != NULL) {
        k->work->story->op(self, k);
    } else if (k->work->moving && below(self, 20) == 0) {
        ops_move(self, k);
    } else if (draw < 480) {
        op_send(self, k);
    } else if (draw < 780) {
        op_call(self, k);
    } else if (draw < 840) {
        op_port(self, k);
    } else if (draw < 870) {
        op_disable(self, k);
    } else if (draw < 910) {
        op_group(self, k);
    } else if (draw < 960) {
        op_watch(self, k);
    } else if (draw < 998) {
        op_cancel(self, k);
    } else if (k->work->mortal) {
        op_end(self, k);
    }
}

static const struct my_port *any_mine(const struct worker *k)
{
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (!ui_is_zero(k->port[i].ui)) {
            return &k->port[i];
        }
    }
    return NULL;
}

void ops_probe(struct motet_self *self, struct worker *k)
{
    /* Where ports are few, another worker may have taken them all. */
    const struct my_port *mine = any_mine(k);
    struct work *work = k->work;
    struct world *w = work->world;
    enum { PROBE_MS = 2000 };
    for (uint32_t j = 0; j < w->node_count; j++) {
        const struct node *to = &w->node[j];
        struct my_call *slot = ops_free_call(k);
        bool busy = slot == NULL || mine == NULL || to == k->node ||
                    to->apart || work->answered[k->node->index][j];
        for (uint32_t i = 0; i < CALLS_MAX && !busy; i++) {
            busy = k->call[i].probe == j + 1 && k->call[i].call != 0;
        }
        const struct spot *target = NULL;
        for (uint32_t i = 0; i < SPOTS && !busy; i++) {
            const struct spot *s = &work->spot[i];
            if (s->node == to && spot_lives(s)) {
                target = s;
            }
        }
        if (target != NULL) {
            const struct motet_dest dest = {.target = target->ui};
            struct check_event e =
                ops_begin(k, CHECK_CALL_BEGIN, mine->ui, PROBE_MS);
            e.peer = target->ui;
            slot->probe = j + 1;
            (void)ops_call(self, k, &e, &dest, slot, PROBE_MS);
        }
    }
}
