#include <string.h>

#include "world.h"

/* Connections. A *stream* is ordered and reliable until it breaks: loss shows
 * as delay, a cut holds it up and breaks it after a while, and what was on the
 * way when it breaks is lost from a random point on. A *datagram* path loses,
 * duplicates, reorders and delays each packet by itself. */

static const uint64_t sent_again_ns = 50 * MS; /* as fate_stream() does */

static struct wire *wire_of(struct world *w, uint64_t conn)
{
    return map_get(&w->wire_of, conn / 2, 0);
}

void net_init(struct world *w)
{
    list_init(&w->wires);
    map_init(&w->wire_of, &w->mem, 1);
}

static bool side_lives(const struct wire *x, uint32_t side)
{
    const struct node *n = x->node[side];
    return n != NULL && n->site != NULL && n->life == x->life[side];
}

static struct link *link_of(const struct wire *x, uint32_t side)
{
    struct world *w = x->world;
    const struct node *from = x->node[side];
    const struct node *to = x->node[1 - side];
    if (from == NULL || to == NULL) {
        return &w->link[0][0]; /* a stranger: a perfect network */
    }
    return &w->link[from->index][to->index];
}

static void free_segments(struct world *w, struct way *y)
{
    while (y->first != NULL) {
        struct segment *s = y->first;
        y->first = s->next;
        if (s->input != NULL) {
            input_free(w, s->input);
        }
        mem_free(&w->mem, s, sizeof *s);
    }
    y->last = NULL;
    deadline_clear(&w->due, &y->arrive);
}

static void free_wire(struct wire *x)
{
    struct world *w = x->world;
    for (uint32_t i = 0; i < 2; i++) {
        free_segments(w, &x->way[i]);
        deadline_clear(&w->due, &x->way[i].drain);
    }
    deadline_clear(&w->due, &x->broken);
    list_remove(&x->link);
    CHECK(map_remove(&w->wire_of, x->number, 0) == x);
    mem_free(&w->mem, x, sizeof *x);
}

/* Frees a connection that nobody can notice any more. */
static void let_go(struct wire *x)
{
    if (x->state[0] == END_CLOSED && x->state[1] == END_CLOSED &&
        x->packets == 0) {
        free_wire(x);
    }
}

/* The end on `side` hears that the connection is gone, if it still listens. */
static void end_down(struct wire *x, uint32_t side)
{
    if (x->state[side] == END_UP && side_lives(x, side)) {
        node_input(x->node[side], input_new(x->world, SITE_IN_CONN_DOWN,
                                            x->number * 2 + side, 0));
    }
    x->state[side] = END_CLOSED;
}

/* ---- Streams ---------------------------------------------------------------
 */

static void arm_way(struct way *y)
{
    struct world *w = y->wire->world;
    const uint64_t at_ns = y->first != NULL ? y->first->at_ns : DEADLINE_NEVER;
    if (at_ns == DEADLINE_NEVER) {
        deadline_clear(&w->due, &y->arrive);
    } else {
        world_at(w, &y->arrive, DUE_STREAM, at_ns);
    }
}

static void break_soon(struct wire *x)
{
    if (!deadline_armed(&x->broken)) {
        const uint64_t ns =
            prng_between(&x->world->net_chance, 200 * MS, 5 * SECOND);
        world_at(x->world, &x->broken, DUE_BREAK, x->world->now_ns + ns);
    }
}

/* When a segment sent now arrives; NEVER while the way is cut or clogged. */
static uint64_t stream_arrival(struct way *y, size_t size, uint64_t late_ns)
{
    struct world *w = y->wire->world;
    struct link *l = link_of(y->wire, y->side);
    uint64_t flip;
    if (y->last != NULL && y->last->at_ns == DEADLINE_NEVER) {
        return DEADLINE_NEVER;
    }
    const uint64_t left_ns =
        late_ns + (y->drained_at_ns > w->now_ns ? y->drained_at_ns : w->now_ns);
    const uint64_t at_ns = fate_stream(&l->fate, left_ns, size > 0 ? size : 1,
                                       y->last_at_ns, &flip);
    y->wire->spoiled =
        y->wire->spoiled || flip != FATE_WHOLE || l->fate.params.blackhole;
    if (l->fate.params.blackhole) {
        return DEADLINE_NEVER;
    }
    if (at_ns != FATE_NEVER) {
        y->last_at_ns = at_ns;
    }
    return at_ns;
}

/* What was lost is sent again after a while, and keeps back what follows. */
static uint64_t lost_ns(const struct wire *x, uint32_t side)
{
    const struct node *from = x->node[side];
    const struct node *to = x->node[1 - side];
    const bool lost = from != NULL && to != NULL && link_of(x, side)->cuts == 0;
    return lost && points_lose(x->world, from, to) ? sent_again_ns : 0;
}

void net_append(struct way *y, struct input *in, bool fin)
{
    struct segment *s = world_alloc(y->wire->world, sizeof *s);
    const bool bytes = in != NULL && in->kind == SITE_IN_BYTES;
    s->at_ns = stream_arrival(y, in != NULL ? in->size : 0,
                              bytes ? lost_ns(y->wire, y->side) : 0);
    s->input = in;
    s->fin = fin;
    if (y->last != NULL) {
        y->last->next = s;
    } else {
        y->first = s;
    }
    y->last = s;
    if (s->at_ns == DEADLINE_NEVER) {
        break_soon(y->wire);
    }
    if (y->first == s) {
        arm_way(y);
    }
}

/* Bytes arrive; now and then in two parts. */
static void arrive(struct wire *x, uint32_t to, struct input *in)
{
    struct world *w = x->world;
    if (x->state[to] != END_UP || !side_lives(x, to)) {
        input_free(w, in);
        return;
    }
    if (in->size > 1 && prng_chance(&w->net_chance, w->tuning.split)) {
        const size_t head = 1 + prng_below(&w->net_chance, in->size - 1);
        struct input *a = input_new(w, in->kind, in->conn, head);
        struct input *b = input_new(w, in->kind, in->conn, in->size - head);
        memcpy(a->bytes, in->bytes, head);
        memcpy(b->bytes, in->bytes + head, in->size - head);
        input_free(w, in);
        node_input(x->node[to], a);
        node_input(x->node[to], b);
        return;
    }
    node_input(x->node[to], in);
}

void net_on_stream(struct way *y)
{
    struct wire *x = y->wire;
    struct world *w = x->world;
    const uint32_t to = 1 - y->side;
    while (y->first != NULL && y->first->at_ns <= w->now_ns) {
        struct segment *s = y->first;
        y->first = s->next;
        if (y->first == NULL) {
            y->last = NULL;
        }
        if (s->input != NULL) {
            if (s->input->kind == SITE_IN_CONN_UP) {
                if (side_lives(x, to) && x->state[to] == END_COMING) {
                    x->state[to] = END_UP;
                    node_input(x->node[to], s->input);
                } else {
                    input_free(w, s->input);
                }
            } else {
                arrive(x, to, s->input);
            }
        }
        const bool fin = s->fin;
        mem_free(&w->mem, s, sizeof *s);
        if (fin) {
            end_down(x, to);
            free_segments(w, y);
            let_go(x);
            return;
        }
    }
    arm_way(y);
}

/* From a random segment on, all that is on this way is lost; then the other
 * side hears that the connection is gone, `after_ns` from now at the least. */
static void cut_tail(struct way *y, uint64_t after_ns)
{
    struct world *w = y->wire->world;
    uint64_t flying = 0;
    for (const struct segment *s = y->first;
         s != NULL && s->at_ns != DEADLINE_NEVER; s = s->next) {
        flying++;
    }
    uint64_t keep = prng_between(&w->net_chance, 0, flying);
    struct way lost = {.wire = y->wire};
    struct segment **at = &y->first;
    y->last = NULL;
    for (; keep > 0; keep--) {
        y->last = *at;
        at = &(*at)->next;
    }
    lost.first = *at;
    struct segment *fin = world_alloc(w, sizeof *fin);
    *at = fin;
    fin->fin = true;
    fin->at_ns = w->now_ns + after_ns;
    if (y->last != NULL && fin->at_ns < y->last->at_ns) {
        fin->at_ns = y->last->at_ns;
    }
    y->last = fin;
    free_segments(w, &lost);
    deadline_clear(&w->due, &y->drain);
    arm_way(y);
}

static void break_wire(struct wire *x)
{
    struct world *w = x->world;
    world_trace(w, NULL, ' ', "connection %llu breaks",
                (unsigned long long)x->number);
    deadline_clear(&w->due, &x->broken);
    if (x->way[0].first != NULL || x->way[1].first != NULL) {
        seen(w, SEEN_WORLD_STREAM_BREAKS);
    }
    for (uint32_t side = 0; side < 2; side++) {
        cut_tail(&x->way[side], prng_below(&w->net_chance, 500 * MS));
    }
}

static bool is_stalled(const struct way *y)
{
    return y->last != NULL && y->last->at_ns == DEADLINE_NEVER;
}

void net_on_break(struct wire *x)
{
    if (x->spoiled || is_stalled(&x->way[0]) || is_stalled(&x->way[1])) {
        break_wire(x);
    }
}

/* ---- Writing ---------------------------------------------------------------
 */

static void send_packet(struct wire *x, uint32_t side,
                        const struct site_effect *e)
{
    struct world *w = x->world;
    struct link *l = link_of(x, side);
    const uint64_t left_ns = x->way[side].drained_at_ns;
    const uint64_t late_ns = left_ns - w->now_ns;
    struct fate_verdict v;
    if (l->queue > 0 && late_ns / MS * (l->rate / 1000) > l->queue) {
        return;
    }
    fate_packet(&l->fate, left_ns, e->size, &v);
    for (uint32_t i = 0; i < v.count; i++) {
        if (v.copy[i].flip != FATE_WHOLE || v.copy[i].at_ns == FATE_NEVER) {
            continue; /* what was changed is not taken for real */
        }
        struct packet *p = world_alloc(w, sizeof *p);
        p->wire = x;
        p->to = 1 - side;
        p->input = input_new(w, SITE_IN_BYTES, x->number * 2 + p->to, e->size);
        memcpy(p->input->bytes, e->bytes, e->size);
        x->packets++;
        world_at(w, &p->arrive, DUE_PACKET, v.copy[i].at_ns);
    }
}

void net_on_packet(struct packet *p)
{
    struct wire *x = p->wire;
    struct world *w = x->world;
    x->packets--;
    if (x->state[p->to] == END_UP && side_lives(x, p->to)) {
        node_input(x->node[p->to], p->input);
    } else {
        input_free(w, p->input);
    }
    mem_free(&w->mem, p, sizeof *p);
    let_go(x);
}

/* The bytes leave the queue of the writing side, at the rate of the link. */
static void drain(struct way *y, size_t size)
{
    struct world *w = y->wire->world;
    const struct link *l = link_of(y->wire, y->side);
    if (y->drained_at_ns < w->now_ns) {
        y->drained_at_ns = w->now_ns;
    }
    y->drained_at_ns += size * SECOND / l->rate;
    y->undrained += size;
    if (!deadline_armed(&y->drain)) {
        world_at(w, &y->drain, DUE_DRAIN, y->drained_at_ns);
    }
}

void net_on_drain(struct way *y)
{
    struct wire *x = y->wire;
    struct world *w = x->world;
    const struct link *l = link_of(x, y->side);
    if (!x->datagram && l->cuts > 0) {
        world_at(w, &y->drain, DUE_DRAIN, w->now_ns + 100 * MS);
        return;
    }
    uint64_t left = 0;
    if (y->drained_at_ns > w->now_ns) {
        left = (y->drained_at_ns - w->now_ns) * l->rate / SECOND;
    }
    if (left < y->undrained && x->state[y->side] == END_UP &&
        side_lives(x, y->side)) {
        struct input *in =
            input_new(w, SITE_IN_DRAINED, x->number * 2 + y->side, 0);
        in->size = (size_t)(y->undrained - left);
        node_input(x->node[y->side], in);
        y->undrained = left;
    }
    if (y->undrained > 0) {
        const uint64_t at_ns =
            y->drained_at_ns > w->now_ns ? y->drained_at_ns : w->now_ns + MS;
        world_at(w, &y->drain, DUE_DRAIN, at_ns);
    }
}

void net_write(struct node *from, const struct site_effect *e)
{
    struct world *w = from->world;
    struct wire *x = wire_of(w, e->conn);
    const uint32_t side = (uint32_t)(e->conn % 2);
    if (x == NULL || x->state[side] != END_UP || e->size == 0) {
        return;
    }
    struct way *y = &x->way[side];
    if (x->state[1 - side] == END_CLOSED || (y->last != NULL && y->last->fin)) {
        return; /* nobody will read it; this side will hear of it */
    }
    drain(y, e->size);
    if (x->datagram) {
        send_packet(x, side, e);
        return;
    }
    struct input *in =
        input_new(w, SITE_IN_BYTES, x->number * 2 + (1 - side), e->size);
    memcpy(in->bytes, e->bytes, e->size);
    net_append(y, in, false);
    if (x->spoiled && !is_stalled(y)) {
        break_wire(x); /* as TLS does when a record is not what was sent */
    }
}

void net_close(struct node *from, uint64_t conn)
{
    struct world *w = from->world;
    struct wire *x = wire_of(w, conn);
    const uint32_t side = (uint32_t)(conn % 2);
    if (x == NULL || x->state[side] != END_UP) {
        return;
    }
    end_down(x, side);
    deadline_clear(&w->due, &x->way[side].drain);
    if (x->state[1 - side] == END_CLOSED) {
        let_go(x);
    } else if (x->way[side].last != NULL && x->way[side].last->fin) {
        return;
    } else if (x->datagram) {
        cut_tail(&x->way[side],
                 prng_between(&w->net_chance, SECOND, 5 * SECOND));
    } else {
        net_append(&x->way[side], NULL, true);
    }
}

void net_crashed(struct node *n)
{
    struct world *w = n->world;
    list_foreach (it, &w->wires) {
        struct wire *x = LIST_ENTRY(it, struct wire, link);
        for (uint32_t side = 0; side < 2; side++) {
            if (x->node[side] != n || x->life[side] != n->life ||
                x->state[side] == END_CLOSED) {
                continue;
            }
            x->state[side] = END_CLOSED;
            if (x->state[1 - side] == END_CLOSED) {
                continue;
            }
            const bool deaf = link_of(x, side)->cuts > 0 || x->datagram ||
                              prng_chance(&w->net_chance, w->tuning.deaf);
            cut_tail(&x->way[side],
                     deaf ? prng_between(&w->net_chance, 200 * MS, 5 * SECOND)
                          : prng_below(&w->net_chance, 20 * MS));
            deadline_clear(&w->due, &x->broken);
        }
        let_go(x);
    }
}

/* ---- Faults ----------------------------------------------------------------
 */

static bool is_between(const struct world *w, const struct wire *x,
                       const struct chaos_fault *f)
{
    return x->node[0] != NULL && x->node[1] != NULL &&
           chaos_touches(f, w->node_count, x->node[0]->index,
                         x->node[1]->index);
}

void net_break_one(struct world *w, const struct chaos_fault *f)
{
    uint64_t count = 0;
    list_foreach (it, &w->wires) {
        count += is_between(w, LIST_ENTRY(it, struct wire, link), f);
    }
    if (count == 0) {
        return;
    }
    uint64_t nth = f->dice % count;
    list_foreach (it, &w->wires) {
        struct wire *x = LIST_ENTRY(it, struct wire, link);
        if (is_between(w, x, f) && nth-- == 0) {
            if (x->state[0] == END_UP && x->state[1] == END_UP) {
                break_wire(x);
            }
            return;
        }
    }
}

void net_uncut(struct world *w, uint32_t from, uint32_t to)
{
    list_foreach (it, &w->wires) {
        struct wire *x = LIST_ENTRY(it, struct wire, link);
        for (uint32_t side = 0; side < 2; side++) {
            struct way *y = &x->way[side];
            if (x->node[side] == NULL || x->node[side]->index != from ||
                x->node[1 - side] == NULL || x->node[1 - side]->index != to ||
                !is_stalled(y) || x->spoiled) {
                continue;
            }
            struct segment *s = y->first;
            y->last->at_ns = 0; /* no longer held up */
            for (; s != NULL; s = s->next) {
                if (s->at_ns == DEADLINE_NEVER || s == y->last) {
                    s->at_ns = stream_arrival(
                        y, s->input != NULL ? s->input->size : 0, 0);
                }
            }
            arm_way(y);
        }
    }
}

void net_fini(struct world *w)
{
    list_foreach (it, &w->wires) {
        free_wire(LIST_ENTRY(it, struct wire, link));
    }
    map_fini(&w->wire_of);
}
