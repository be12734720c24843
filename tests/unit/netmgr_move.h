#ifndef NETMGR_MOVE_H
#define NETMGR_MOVE_H

#include "netmgr_one.h"

/* Two network managers, and what goes from one to the other with a port. */

enum { OTHER_SITE = 6, OTHER_INCARNATION = 11, ITEMS_MAX = 64 };

/* The site to which ports move; it knows ONE_PEER as well. */
static inline void other_new(struct one *o)
{
    one_init(o);
    struct netmgr_config cfg = one_config(o);
    cfg.site = OTHER_SITE;
    cfg.incarnation = OTHER_INCARNATION;
    cfg.name = "other";
    one_create(o, &cfg);
    struct net_hello h = one_hello();
    h.to_site = OTHER_SITE;
    one_meet(o, 1, &h);
}

static inline enum motet_err item(struct one *o, struct image_item it)
{
    return one_step(o, (struct net_in){.kind = NET_IN_ITEM, .item = &it});
}

static inline void freeze(struct one *o, struct motet_ui port)
{
    cr_assert_eq(
        one_step(o, (struct net_in){.kind = NET_IN_FREEZE, .dst = port}),
        MOTET_OK);
}

static inline void here(struct one *o, struct motet_ui port, uint64_t epoch)
{
    cr_assert_eq(one_step(o, (struct net_in){.kind = NET_IN_HERE,
                                             .dst = port,
                                             .epoch = epoch}),
                 MOTET_OK);
}

static inline void away(struct one *o, struct motet_ui port, uint64_t site,
                        uint32_t incarnation, uint64_t epoch)
{
    cr_assert_eq(one_step(o, (struct net_in){.kind = NET_IN_AWAY,
                                             .dst = port,
                                             .site = site,
                                             .incarnation = incarnation,
                                             .epoch = epoch}),
                 MOTET_OK);
}

static struct image_item items[ITEMS_MAX];
static uint32_t item_count;

/* Its image; what it refers to is let go of. */
static inline void image(const struct one *o, struct motet_ui port)
{
    struct net_walk walk = {0};
    struct image_item it;
    item_count = 0;
    while (netmgr_image(o->net, port, &walk, &it)) {
        cr_assert_lt(item_count, ITEMS_MAX);
        items[item_count] = it;
        items[item_count].msg.data = NULL;
        item_count++;
        image_release(&it);
    }
}

/* With `size` bytes in the memory of `to` for each message that is kept. */
static inline void give_all(struct one *to, uint32_t size)
{
    for (uint32_t i = 0; i < item_count; i++) {
        struct image_item it = items[i];
        if (it.kind == IMAGE_KEPT && it.flag && size > 0) {
            it.msg.data = buf_new(&to->mem, size);
        }
        cr_assert_eq(item(to, it), MOTET_OK, "item %u", i);
    }
}

static const struct image_item receiving = {
    .kind = IMAGE_RFLOW,
    .port = {ONE_PEER, (UINT64_C(20) << 32) + (1 << 28) + 3},
    .peer = {ONE_SITE, (UINT64_C(10) << 32) + (1 << 28) + 4},
    .place = {.site = ONE_SITE, .incarnation = ONE_INCARNATION},
    .epoch = 1,
    .origin = {.site = ONE_SITE},
    .origin_epoch = 1,
    .base = 4,
};

#endif
