#ifndef NUCLEUS_MOVE_H
#define NUCLEUS_MOVE_H

#include "nucleus_world.h"
#include "proto/image.h"

/* Two nuclei, and ports that go from one to the other: as bytes, as they do
 * between sites. */

enum { MOVE_FROM = 7, MOVE_TO = 8, MOVE_ITEMS_MAX = 512 };

struct pair {
    struct world from, to;
    struct motet_ui owner; /* there: takes ports */
    struct motet_ui moved; /* the port whose image that is */
    uint8_t bytes[1 << 20];
    size_t at[MOVE_ITEMS_MAX + 1]; /* where each item begins; its end */
    uint32_t count;
    struct image_item items[MOVE_ITEMS_MAX]; /* without their data */
};

static inline void pair_init_with(struct pair *p,
                                  const struct nucleus_limits *there)
{
    world_init_at(&p->from, MOVE_FROM, 3, NULL);
    world_init_at(&p->to, MOVE_TO, 5, there);
    p->count = 0;
    p->owner = world_actor(&p->to, true);
    struct nuc_in in = world_in(&p->to, NUC_ACTOR_ADOPTS);
    in.actor = p->owner;
    in.in = true;
    cr_assert_eq(world_step(&p->to, &in), MOTET_OK);
}

static inline void pair_init(struct pair *p)
{
    pair_init_with(p, NULL);
}

static inline void pair_fini(struct pair *p)
{
    world_fini(&p->from);
    world_fini(&p->to);
}

static inline enum motet_err port_op(struct world *w, enum nuc_kind kind,
                                     struct motet_ui port, bool in_too)
{
    struct nuc_in in = world_in(w, kind);
    in.port = port;
    in.in = in_too;
    return world_step(w, &in);
}

static inline enum motet_err freeze(struct world *w, struct motet_ui port)
{
    return port_op(w, NUC_PORT_FREEZE, port, false);
}

/* ---- Out -------------------------------------------------------------------
 */

static inline void image_put(struct pair *p, struct image_item *it)
{
    const struct buf *data;
    struct writer w = writer_of(p->bytes + p->at[p->count],
                                sizeof p->bytes - p->at[p->count]);
    cr_assert_lt(p->count, MOVE_ITEMS_MAX);
    wire_encode_item(it, &w, &data);
    if (data != NULL) {
        write_span(&w, data->data, data->size);
    }
    cr_assert(writer_ok(&w));
    p->items[p->count] = *it;
    p->items[p->count].msg.data = NULL;
    p->at[p->count + 1] = p->at[p->count] + w.at;
    p->count++;
    image_release(it);
}

/* The image of a frozen port. */
static inline void pack(struct pair *p, struct motet_ui port)
{
    struct nuc_walk walk = {0};
    struct image_item it;
    p->count = 0;
    p->at[0] = 0;
    p->moved = port;
    while (nucleus_image(p->from.n, port, &walk, &it)) {
        image_put(p, &it);
    }
    cr_assert_gt(p->count, 0);
}

static inline void freeze_and_pack(struct pair *p, struct motet_ui port)
{
    cr_assert_eq(freeze(&p->from, port), MOTET_OK);
    pack(p, port);
}

static inline uint32_t items_of(const struct pair *p, enum image_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        count += p->items[i].kind == kind;
    }
    return count;
}

static inline const struct image_item *item_of(const struct pair *p,
                                               enum image_kind kind)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->items[i].kind == kind) {
            return &p->items[i];
        }
    }
    cr_assert_fail("no item of kind %d", (int)kind);
    return NULL;
}

/* ---- In --------------------------------------------------------------------
 */

static inline enum motet_err give_item(struct world *w, struct motet_ui owner,
                                       struct motet_ui port,
                                       struct image_item *it)
{
    struct nuc_in in = world_in(w, NUC_PORT_ITEM);
    in.actor = owner;
    in.port = port;
    in.item = it;
    const enum motet_err err = nucleus_step(w->n, &in, &w->out);
    if (err != MOTET_OK) {
        image_release(it);
    }
    world_drain(w);
    return err;
}

/* The nth of them, as it is read from its bytes. */
static inline struct image_item read_item(struct pair *p, uint32_t nth)
{
    struct reader r =
        reader_of(p->bytes + p->at[nth], p->at[nth + 1] - p->at[nth]);
    struct image_item it;
    const uint8_t *data;
    uint32_t size;
    cr_assert(wire_decode_item(&r, &it, &data, &size),
              "item %u, of kind %d, is none", nth, (int)p->items[nth].kind);
    cr_assert(reader_done(&r));
    if (size > 0) {
        it.msg.data = buf_copy(&p->to.mem, data, size);
        cr_assert_not_null(it.msg.data);
    }
    return it;
}

static inline enum motet_err unpack(struct pair *p, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct image_item it = read_item(p, i);
        const enum motet_err err = give_item(&p->to, p->owner, p->moved, &it);
        if (err != MOTET_OK) {
            return err;
        }
    }
    return MOTET_OK;
}

/* The whole way of a port. */
static inline void move_port(struct pair *p, struct motet_ui port)
{
    freeze_and_pack(p, port);
    cr_assert_eq(unpack(p, p->count), MOTET_OK);
    world_clear(&p->from);
    world_clear(&p->to);
    cr_assert_eq(port_op(&p->from, NUC_PORT_DROP, port, false), MOTET_OK);
    cr_assert_eq(port_op(&p->to, NUC_PORT_ACTIVATE, port, false), MOTET_OK);
}

static inline enum motet_err info(struct world *w, struct motet_ui port)
{
    return port_op(w, NUC_PORT_INFO, port, false);
}

/* ---- In tests of them ------------------------------------------------------
 */

static struct pair p;

static inline enum motet_err install(struct motet_ui owner,
                                     struct motet_ui port, struct image_item it)
{
    return give_item(&p.to, owner, port, &it);
}

static inline enum motet_err ask(struct world *w, struct motet_ui port,
                                 uint64_t call, uint32_t remaining_ms,
                                 uint8_t annex_bytes)
{
    struct msg m = world_msg(w, 20);
    m.kind = MSG_REQUEST;
    m.call = call;
    m.remaining_ms = remaining_ms;
    m.annex_bytes = annex_bytes;
    m.reply_to = world_far(1);
    return world_deliver(w, world_far(1), port, m);
}

/* What is sent from `port` of that kind; fails the test if it is not one. */
static inline const struct nuc_effect *sent(const struct world *w,
                                            enum msg_kind kind)
{
    const struct nuc_effect *found = NULL;
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->log[i].kind == NUC_TO_NET && w->log[i].msg.kind == kind) {
            cr_expect_null(found, "two of kind %d", (int)kind);
            found = &w->log[i];
        }
    }
    cr_assert_not_null(found, "none of kind %d", (int)kind);
    return found;
}

static inline struct motet_cap group(struct world *w, struct motet_ui actor,
                                     const char *name)
{
    struct nuc_in in = world_in(w, NUC_GROUP_NEW);
    in.actor = actor;
    in.name = name;
    cr_assert_eq(world_step(w, &in), MOTET_OK);
    return w->out.cap;
}

static inline void insert(struct world *w, struct motet_ui actor,
                          const struct motet_cap *cap, struct motet_ui port)
{
    struct nuc_in in = world_in(w, NUC_GROUP_INSERT);
    in.actor = actor;
    in.cap = *cap;
    in.port = port;
    cr_assert_eq(world_step(w, &in), MOTET_OK);
}

#endif
