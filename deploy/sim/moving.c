#include <stdio.h>
#include <string.h>

#include "nucleus/base/hash.h"
#include "nucleus/base/ui.h"
#include "proto/control.pb-c.h"
#include "work.h"

/* Workers whose ports move: alone, to another worker that takes them, or with
 * the worker as a whole. They ask the control port of their site, as everybody
 * does. The ports of worker 0 that probe stay where they are. */

enum { REQUEST_MAX = 128, ASK_MS = 5000 };

static uint64_t below(struct motet_self *self, uint64_t bound)
{
    return motet_actor_random(self) % bound;
}

/* ---- Numbers ---------------------------------------------------------------
 */

static uint64_t key_of(enum check_what what, struct motet_ui port)
{
    return hash_fold(hash_fold(port.hi, port.lo), what);
}

void moving_note(struct work *work, enum check_what what, struct motet_ui port,
                 uint64_t id, uint64_t number)
{
    /* The number in place of a pointer. */
    CHECK(map_put(&work->known, key_of(what, port), id,
                  (void *)(uintptr_t)number));
}

uint64_t moving_recall(const struct work *work, enum check_what what,
                       struct motet_ui port, uint64_t id)
{
    return (uintptr_t)map_get(&work->known, key_of(what, port), id);
}

/* ---- Asking ----------------------------------------------------------------
 */

void moving_ask(struct motet_self *self, struct worker *k, struct motet_ui port,
                const Motet__ControlRequest *q)
{
    uint8_t bytes[REQUEST_MAX];
    const size_t size = motet__control_request__get_packed_size(q);
    CHECK(size <= sizeof bytes);
    (void)motet__control_request__pack(q, bytes);
    const struct motet_out out = {.body = {.data = bytes, .size = size}};
    const struct motet_dest dest = {.target = ui_of_control(k->node->id)};
    uint64_t call = 0;
    if (motet_actor_call(self, port, &dest, &out, ASK_MS, &call) == MOTET_OK) {
        k->asked = call;
        moving_note(k->work, CHECK_OWNER, port, call, 1);
    }
}

bool moving_answer(struct worker *k, const struct motet_event *event)
{
    if (moving_recall(k->work, CHECK_OWNER, event->port, event->call) == 0) {
        return false;
    }
    if (event->err == MOTET_OK && k->asked == event->call) {
        Motet__ControlReply *r = motet__control_reply__unpack(
            NULL, event->reply->body_bytes, event->reply->body);
        CHECK(r != NULL);
        k->move = r->err == MOTET_OK && r->has_move ? r->move : k->move;
        motet__control_reply__free_unpacked(r, NULL);
    }
    return true;
}

/* The workers of a site, or what is not there. */
static char *draw_receiver(struct motet_self *self, const struct worker *k,
                           const struct node *to, char *name)
{
    const struct world *w = k->work->world;
    const uint32_t number = (uint32_t)below(self, w->tuning.actors);
    const uint32_t home =
        below(self, 4) > 0 ? to->index : (uint32_t)below(self, w->node_count);
    (void)worker_name(home, number, name);
    return name;
}

static uint32_t first_movable(const struct worker *k)
{
    return k->number == 0 ? 1 : 0;
}

void ops_move(struct motet_self *self, struct worker *k)
{
    struct world *w = k->work->world;
    char name[WORKER_NAME_SIZE];
    Motet__ControlRequest q = MOTET__CONTROL_REQUEST__INIT;
    Motet__ControlMigrate m = MOTET__CONTROL_MIGRATE__INIT;
    const uint64_t draw = below(self, 10);
    const struct node *to = &w->node[below(self, w->node_count)];
    const uint32_t first = first_movable(k);
    const struct my_port *p = &k->port[first + below(self, PORTS_MAX - first)];
    const struct my_port *from = &k->port[below(self, PORTS_MAX)];
    if (ui_is_zero(p->ui) || ui_is_zero(from->ui)) {
        return;
    }
    q.op = MOTET__CONTROL_REQUEST__OP__MIGRATE;
    q.migrate = &m;
    m.has_to = 1;
    m.to = to->id;
    if (draw == 0) {
        q.op = MOTET__CONTROL_REQUEST__OP__ABORT;
        q.migrate = NULL;
        q.has_move = 1;
        q.move = k->move;
    } else if (draw < 4 && k->number > 0) {
        (void)worker_name(k->home->index, k->number, name);
        m.actor = name;
    } else {
        m.has_hi = 1;
        m.has_lo = 1;
        m.hi = p->ui.hi;
        m.lo = p->ui.lo;
        m.receiver = draw_receiver(self, k, to, name);
    }
    moving_ask(self, k, from->ui, &q);
}

/* ---- What comes of it ------------------------------------------------------
 */

static struct my_port *free_port(struct worker *k)
{
    for (uint32_t i = first_movable(k); i < PORTS_MAX; i++) {
        if (ui_is_zero(k->port[i].ui)) {
            return &k->port[i];
        }
    }
    return NULL;
}

bool moving_adopt(struct motet_self *self, void *state, struct motet_ui port)
{
    (void)self;
    (void)port;
    return free_port(state) != NULL;
}

void moving_adopted(struct motet_self *self, struct worker *k,
                    const struct motet_event *event)
{
    struct check_event e = worker_event(k, CHECK_OWNER, event->port);
    worker_feed(k, &e);
    owners_set(k->work, event->port, k->ui);
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (motet_ui_equal(k->port[i].ui, event->port)) {
            return; /* came along with the worker */
        }
    }
    struct my_port *p = free_port(k);
    if (p != NULL) {
        /* It may have been disabled. */
        *p = (struct my_port){.ui = event->port,
                              .enable_ns = k->work->world->now_ns + 1};
        return;
    }
    e.what = CHECK_PORT_END; /* two came for one place */
    worker_feed(k, &e);
    ops_forget_spot(k->work, event->port);
    CHECK(motet_actor_port_end(self, event->port) == MOTET_OK);
}

void moving_moved(struct worker *k, struct motet_ui port)
{
    ops_forget_again(k, port);
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        k->held[i].away |= motet_ui_equal(k->held[i].port, port);
    }
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (motet_ui_equal(k->port[i].ui, port)) {
            k->port[i] = (struct my_port){0};
        }
    }
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        if (k->call[i].call != 0 && motet_ui_equal(k->call[i].port, port)) {
            k->call[i] = (struct my_call){0};
        }
    }
    for (uint32_t i = 0; i < WATCHES_MAX; i++) {
        if (k->watch[i].watch != 0 && motet_ui_equal(k->watch[i].port, port)) {
            k->watch[i] = (struct my_watch){0};
        }
    }
}

void moving_stop(struct worker *k)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        const struct my_held *h = &k->held[i];
        if (h->held != 0 && (h->away || !worker_owns(k, h->port))) {
            struct check_event e = worker_event(k, CHECK_CANCELLED, h->port);
            e.id = h->id;
            worker_feed(k, &e);
        }
    }
}

/* For all but the copy it has ended. */
static void lose(struct worker *k)
{
    k->lost = true;
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (!ui_is_zero(k->port[i].ui)) {
            const struct check_event e =
                worker_event(k, CHECK_PORT_END, k->port[i].ui);
            worker_feed(k, &e);
            ops_forget_spot(k->work, k->port[i].ui);
        }
    }
}

bool moving_arrived(struct motet_self *self, struct worker *k)
{
    struct world *w = k->work->world;
    const struct motet_ui ui = motet_actor_ui(self);
    struct node *node = k->node;
    if (k->lost || motet_ui_equal(k->ui, ui)) {
        return !k->lost;
    }
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (w->node[i].id == ui_site(ui)) {
            node = &w->node[i];
        }
    }
    if (node->incarnation != ui_incarnation(ui)) {
        lose(k);
        return false;
    }
    k->node = node;
    owners_follow(k->work, k->ui, ui, k->node);
    k->ui = ui;
    struct check_event e = worker_event(k, CHECK_UI_ISSUED, ui);
    worker_feed(k, &e);
    memset(k->again, 0, sizeof k->again); /* there may be room here */
    e.what = CHECK_HOLD;
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (k->held[i].held != 0) {
            e.id = k->held[i].id;
            e.port = k->held[i].port;
            worker_feed(k, &e);
        }
    }
    return true;
}

size_t moving_save(const void *state, void *out, size_t size)
{
    if (size == sizeof(struct worker)) {
        memcpy(out, state, size);
    }
    return sizeof(struct worker);
}

bool moving_restore(void *state, const void *in, size_t size)
{
    if (size != sizeof(struct worker)) {
        return false;
    }
    memcpy(state, in, size);
    return true;
}
