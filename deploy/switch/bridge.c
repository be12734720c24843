#include <stdlib.h>
#include <string.h>

#include "inside.h"

/* The bridge: learns which port an address is behind, sends what it knows there
 * and the rest everywhere, each frame through the link to the port it goes to.
 */

enum { TYPE_ARP = 0x0806, TYPE_IPV6 = 0x86dd, COMMENT_MAX = 512 };

void bridge_init(struct net *n)
{
    map_init(&n->macs, &n->mem, n->seed);
    n->links = calloc(PORTS_MAX, sizeof *n->links);
    CHECK(n->links != NULL);
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        for (uint32_t j = 0; j < PORTS_MAX; j++) {
            list_init(&n->links[i][j].held);
        }
    }
}

static void frame_free(struct frame *f)
{
    struct net *n = f->net;

    deadline_clear(&n->due, &f->due);
    list_remove(&f->link);
    mem_free(&n->mem, f, sizeof *f + f->size);
}

static void drop_list(struct list *list)
{
    list_foreach (it, list) {
        frame_free(LIST_ENTRY(it, struct frame, link));
    }
}

void bridge_fini(struct net *n)
{
    for (struct deadline *d;
         (d = deadlines_pop(&n->due, UINT64_MAX)) != NULL;) {
        if (d->kind == DUE_FRAME) {
            frame_free(CONTAINER_OF(d, struct frame, due));
        }
    }
    map_fini(&n->macs);
    free(n->links);
    n->links = NULL;
}

/* ---- Delivery --------------------------------------------------------------
 */

static void sent(struct port *to, const uint8_t *bytes, size_t size)
{
    to->tx++;
    capture_got(to, bytes, size);
}

/* @return false: it must wait for the port */
static bool send_now(struct port *to, const uint8_t *bytes, size_t size)
{
    switch (to->kind->send(to, bytes, size)) {
    case SENT_DONE:
        sent(to, bytes, size);
        return true;
    case SENT_NOBODY:
        to->lost++;
        return true;
    case SENT_LATER:
    default:
        return false;
    }
}

static void wait_for_port(struct port *to, struct frame *f)
{
    list_append(&to->waiting, &f->link);
    to->waiting_count++;
    watch_for(to->watch, UV_READABLE | UV_WRITABLE);
}

static void deliver(struct frame *f)
{
    struct port *to = &f->net->ports[f->to];

    if (to->life != f->life) {
        frame_free(f);
    } else if (list_empty(&to->waiting) && send_now(to, f->bytes, f->size)) {
        frame_free(f);
    } else if (to->waiting_count >= WAITING_MAX || to->watch == NULL) {
        to->lost++;
        frame_free(f);
    } else {
        wait_for_port(to, f);
    }
}

void bridge_due(struct frame *f)
{
    deliver(f);
}

void bridge_writable(struct port *p)
{
    while (!list_empty(&p->waiting)) {
        struct frame *f =
            LIST_ENTRY(list_first(&p->waiting), struct frame, link);
        if (!send_now(p, f->bytes, f->size)) {
            return;
        }
        p->waiting_count--;
        frame_free(f);
    }
    if (p->watch != NULL) {
        watch_for(p->watch, UV_READABLE);
    }
}

/* ---- Links -----------------------------------------------------------------
 */

static void hold(struct link *l, struct frame *f)
{
    struct port *to = &f->net->ports[f->to];

    if (l->held_count >= HELD_MAX) {
        to->lost++;
        frame_free(f);
        return;
    }
    list_append(&l->held, &f->link);
    l->held_count++;
}

void bridge_release(struct net *n, struct link *l)
{
    const uint64_t at_ns = fate_release(&l->fate, net_now());

    if (at_ns == FATE_NEVER) {
        return;
    }
    list_foreach (it, &l->held) {
        struct frame *f = LIST_ENTRY(it, struct frame, link);
        list_remove(it);
        f->due.kind = DUE_FRAME;
        if (!deadline_set(&n->due, &f->due, at_ns)) {
            frame_free(f);
        }
    }
    l->held_count = 0;
}

static void flip_bit(uint8_t *bytes, size_t size, uint64_t bit)
{
    /* Not in the header: it would go to another port. */
    if (bit != FATE_WHOLE && size > FRAME_MIN) {
        const uint64_t at = bit % ((size - FRAME_MIN) * 8);
        bytes[FRAME_MIN + at / 8] ^= (uint8_t)(1U << at % 8);
    }
}

static void copy_out(struct port *from, struct port *to, const uint8_t *bytes,
                     size_t size, const struct fate_copy *c, uint64_t now_ns)
{
    struct net *n = from->net;

    if (c->at_ns <= now_ns && c->flip == FATE_WHOLE &&
        list_empty(&to->waiting) && send_now(to, bytes, size)) {
        return;
    }
    struct frame *f = mem_alloc_raw(&n->mem, sizeof *f + size);
    if (f == NULL) {
        to->lost++;
        return;
    }
    *f = (struct frame){.net = n,
                        .from = from->index,
                        .to = to->index,
                        .life = to->life,
                        .size = size};
    memcpy(f->bytes, bytes, size);
    flip_bit(f->bytes, size, c->flip);
    f->due.kind = DUE_FRAME;
    if (c->at_ns == FATE_NEVER) {
        hold(&n->links[from->index][to->index], f);
    } else if (c->at_ns <= now_ns) {
        deliver(f);
    } else if (!deadline_set(&n->due, &f->due, c->at_ns)) {
        to->lost++;
        frame_free(f);
    }
}

static unsigned type_of(const uint8_t *bytes)
{
    return (unsigned)bytes[12] << 8 | bytes[13];
}

/* Who asks for addresses, and when, is the kernel's affair: that must not shift
 * the fate of what is sent on purpose. */
static bool is_aside(const uint8_t *bytes)
{
    return type_of(bytes) == TYPE_ARP || type_of(bytes) == TYPE_IPV6;
}

/* Through the link from one port to another; what became of it is added to
 * `comment` unless it passed. */
static void through(struct port *from, struct port *to, const uint8_t *bytes,
                    size_t size, char *comment)
{
    struct link *l = &from->net->links[from->index][to->index];
    const uint64_t now_ns = net_now();
    struct fate_verdict v;

    if (l->fate.params.reset) {
        bytes = reset_frame(bytes, size);
    }
    if (is_aside(bytes)) {
        fate_packet_aside(&l->fate, now_ns, size, &v);
    } else {
        fate_packet(&l->fate, now_ns, size, &v);
    }
    for (uint32_t i = 0; i < v.count; i++) {
        copy_out(from, to, bytes, size, &v.copy[i], now_ns);
    }
    if (v.reason != FATE_PASSED && from->net->capture.file != NULL) {
        const size_t used = strlen(comment);
        snprintf(comment + used, COMMENT_MAX - used, "%s%s: lost (%s)",
                 used > 0 ? ", " : "", to->name, fate_text(v.reason));
    }
}

/* ---- Addresses -------------------------------------------------------------
 */

static uint64_t address_at(const uint8_t *bytes)
{
    uint64_t a = 0;

    for (int i = 0; i < 6; i++) {
        a = a << 8 | bytes[i];
    }
    return a;
}

static void learn(struct port *from, uint64_t address)
{
    struct net *n = from->net;
    const struct port *known = map_get(&n->macs, address, 0);

    if (known == from || (known == NULL && n->macs.count >= MACS_MAX)) {
        return;
    }
    if (known != NULL) {
        (void)map_remove(&n->macs, address, 0);
    }
    if (!map_put(&n->macs, address, 0, from)) {
        return; /* no memory: what is unknown is flooded */
    }
}

void bridge_frame(struct port *from, const uint8_t *bytes, size_t size)
{
    struct net *n = from->net;
    char comment[COMMENT_MAX] = "";

    if (size < FRAME_MIN || size > FRAME_MAX) {
        return;
    }
    from->rx++;
    if ((bytes[6] & 1) == 0) { /* the sender is no group */
        learn(from, address_at(bytes + 6));
    }
    struct port *to = NULL;
    if ((bytes[0] & 1) == 0) {
        to = map_get(&n->macs, address_at(bytes), 0);
    }
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        struct port *p = &n->ports[i];
        if (p->name[0] != '\0' && p != from && p->kind != &relay_kind &&
            (to == NULL || to == p)) {
            through(from, p, bytes, size, comment);
        }
    }
    capture_sent(from, bytes, size, comment);
}

void bridge_forget(struct port *p)
{
    struct net *n = p->net;

    drop_list(&p->waiting);
    p->waiting_count = 0;
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        drop_list(&n->links[i][p->index].held);
        drop_list(&n->links[p->index][i].held);
        n->links[i][p->index].held_count = 0;
        n->links[p->index][i].held_count = 0;
    }
    /* The table is small, and a map cannot be walked: all is learned again. */
    map_fini(&n->macs);
    map_init(&n->macs, &n->mem, n->seed);
}
