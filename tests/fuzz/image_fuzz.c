#include <string.h>

#include "netmgr/core/netmgr.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/ui.h"
#include "nucleus/core/nucleus.h"
#include "proto/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What comes with a moving port, whatever bytes those are: no CHECK fires,
 * nothing is read outside them, and what was taken is written again as the
 * same. The first byte says as what the others are read: 0 as a frame of a
 * migration, 1 as a content, 2 and 3 as the items of one that the machines are
 * given; then the port lives here (2), or is given up (3), and nothing is left
 * of it. */

enum { SITE = 5, MEMORY = 64 << 20, TICKS = 4, EFFECTS_MAX = 4096 };

/* ---- The codec -------------------------------------------------------------
 */

static void play_frame(const uint8_t *data, size_t size)
{
    struct wire_migrate m;
    uint8_t again[WIRE_MIGRATE_BYTES];
    struct writer w = writer_of(again, sizeof again);
    if (!wire_decode_migrate(data, size, &m)) {
        return;
    }
    CHECK(m.frame.kind == MIG_PREPARE || m.size == 0);
    CHECK(m.part < m.parts && m.parts <= WIRE_PARTS_MAX);
    CHECK(m.size <= WIRE_PART_BYTES);
    wire_encode_migrate(&m, &w);
    CHECK(writer_ok(&w) && w.at + m.size == size);
    CHECK(memcmp(again, data, w.at) == 0);
}

/* Once more as bytes; they say nothing else than before. */
static void same_item(const struct image_item *it, uint32_t data_size,
                      const uint8_t *bytes, size_t size)
{
    uint8_t again[WIRE_ITEM_BYTES + WIRE_ITEM_FIELDS_MAX];
    struct writer w = writer_of(again, sizeof again);
    const struct buf *none;
    wire_encode_item(it, &w, &none);
    CHECK(writer_ok(&w) && w.at + data_size == size);
    memcpy(again + 8, &data_size, sizeof data_size);
    CHECK(memcmp(again, bytes, w.at) == 0);
}

static void play_content(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    struct wire_content c;
    if (!wire_decode_content(&r, &c)) {
        return;
    }
    CHECK(c.actor[0] == '\0' || ui_name_ok(c.actor));
    for (uint32_t i = 0; i < c.count && reader_left(&r) > 0; i++) {
        (void)wire_decode_port(&r);
    }
    while (reader_left(&r) > 0) {
        const size_t from = r.at;
        struct image_item it;
        const uint8_t *bytes;
        uint32_t bytes_size;
        if (!wire_decode_item(&r, &it, &bytes, &bytes_size)) {
            return;
        }
        CHECK(it.msg.annex_bytes <= bytes_size);
        same_item(&it, bytes_size, data + from, r.at - from);
    }
}

/* ---- The machines ----------------------------------------------------------
 */

struct ground {
    struct mem mem;
    struct trace trace;
    struct nucleus *nucleus;
    struct netmgr *netmgr;
    struct motet_ui owner;
    struct motet_ui port; /* the one that came first; 0: none did */
    uint64_t now_ns;
};

static void drain(struct ground *g)
{
    const struct nuc_effect *e;
    const struct net_effect *f;
    for (int i = 0; i < EFFECTS_MAX; i++) {
        if ((e = nucleus_effect(g->nucleus)) != NULL) {
            buf_unref(e->msg.data);
        } else if ((f = netmgr_effect(g->netmgr)) != NULL) {
            if (f->kind == NET_FRAME && f->frame.kind == NET_DATA) {
                buf_unref(f->frame.u.data.hold);
            }
            CHECK(f->kind != NET_OFFER); /* nobody sent anything */
        } else {
            return;
        }
    }
}

static enum motet_err nuc(struct ground *g, struct nuc_in in)
{
    struct nuc_out out = {0};
    in.now_ns = g->now_ns;
    const enum motet_err err = nucleus_step(g->nucleus, &in, &out);
    if (in.kind == NUC_ACTOR_NEW) {
        g->owner = out.ui;
    }
    drain(g);
    return err;
}

static enum motet_err net(struct ground *g, struct net_in in)
{
    in.now_ns = g->now_ns;
    const enum motet_err err = netmgr_step(g->netmgr, &in);
    drain(g);
    return err;
}

static void open_ground(struct ground *g)
{
    memset(g, 0, sizeof *g);
    mem_init(&g->mem, MEMORY);
    trace_init(&g->trace, NULL);
    g->now_ns = 1000000000;
    const struct nucleus_config nucleus = {
        .site = SITE,
        .incarnation = 10,
        .secret = {1, 2},
        .limits = nucleus_limits_default(),
        .mem = &g->mem,
        .trace = &g->trace,
    };
    const struct netmgr_config netmgr = {
        .site = SITE,
        .incarnation = 10,
        .name = "here",
        .cluster = "fuzz",
        .address = "here:1",
        .insecure = true,
        .seed = 1,
        .limits = net_limits_default(),
        .mem = &g->mem,
        .trace = &g->trace,
    };
    g->nucleus = nucleus_create(&nucleus);
    g->netmgr = netmgr_create(&netmgr);
    CHECK(g->nucleus != NULL && g->netmgr != NULL);
    enum motet_err err = nuc(
        g,
        (struct nuc_in){.kind = NUC_ACTOR_NEW, .name = "owner", .push = true});
    CHECK(err == MOTET_OK);
    err = nuc(g, (struct nuc_in){
                     .kind = NUC_ACTOR_ADOPTS, .actor = g->owner, .in = true});
    CHECK(err == MOTET_OK);
}

static enum motet_err give(struct ground *g, struct image_item *it)
{
    if (it->kind == IMAGE_SFLOW || it->kind == IMAGE_RFLOW) {
        return net(g, (struct net_in){.kind = NET_IN_ITEM, .item = it});
    }
    if (it->kind == IMAGE_KEPT) {
        enum motet_err err = it->ticket == 0
                                 ? MOTET_OK
                                 : nuc(g, (struct nuc_in){.kind = NUC_PORT_ITEM,
                                                          .actor = g->owner,
                                                          .port = g->port,
                                                          .item = it});
        return err != MOTET_OK
                   ? err
                   : net(g, (struct net_in){.kind = NET_IN_ITEM, .item = it});
    }
    const struct motet_ui port = it->kind == IMAGE_PORT ? it->port : g->port;
    const enum motet_err err = nuc(g, (struct nuc_in){.kind = NUC_PORT_ITEM,
                                                      .actor = g->owner,
                                                      .port = port,
                                                      .item = it});
    if (err == MOTET_OK && it->kind == IMAGE_PORT) {
        g->port = it->port;
        return net(g, (struct net_in){.kind = NET_IN_FREEZE, .dst = it->port});
    }
    return err;
}

/* As a site does with the items of a PREPARE, for one port. */
static void install(struct ground *g, const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    while (reader_left(&r) > 0) {
        struct image_item it;
        const uint8_t *bytes;
        uint32_t bytes_size;
        if (!wire_decode_item(&r, &it, &bytes, &bytes_size) ||
            it.kind == IMAGE_ACTOR || it.kind == IMAGE_TIMER ||
            (it.kind == IMAGE_PORT &&
             !ui_equal(g->port, (struct motet_ui){0, 0}))) {
            return;
        }
        if (bytes_size > 0) {
            it.msg.data = buf_copy(&g->mem, bytes, bytes_size);
        }
        if (give(g, &it) != MOTET_OK) {
            image_release(&it);
            return;
        }
    }
}

static void live(struct ground *g)
{
    (void)!net(
        g, (struct net_in){.kind = NET_IN_HERE, .dst = g->port, .epoch = 2});
    (void)!nuc(g, (struct nuc_in){.kind = NUC_PORT_ACTIVATE, .port = g->port});
    for (int i = 0; i < TICKS; i++) {
        (void)!nuc(g, (struct nuc_in){.kind = NUC_TICK});
        (void)!net(g, (struct net_in){.kind = NET_IN_TICK});
        (void)!net(g, (struct net_in){.kind = NET_IN_FLUSH});
        g->now_ns += 2000000000;
    }
    (void)!nuc(g, (struct nuc_in){.kind = NUC_ACTOR_END,
                                  .actor = g->owner,
                                  .news = MOTET_NEWS_CRASHED});
}

static void give_up(struct ground *g)
{
    (void)!net(g, (struct net_in){.kind = NET_IN_AWAY,
                                  .dst = g->port,
                                  .site = 7,
                                  .incarnation = 1,
                                  .epoch = 2});
    const enum motet_err err =
        nuc(g, (struct nuc_in){.kind = NUC_PORT_DISCARD, .port = g->port});
    CHECK(err == MOTET_OK || ui_equal(g->port, (struct motet_ui){0, 0}));
    const struct nuc_counts c = nucleus_counts(g->nucleus);
    CHECK(c.ports + c.calls + c.held + c.watches + c.waiters == 0);
    CHECK(c.queued_msgs == 0 && c.queued_bytes == 0);
    CHECK(netmgr_counts(g->netmgr).pending == 0);
}

static void play_items(const uint8_t *data, size_t size, bool stays)
{
    struct ground g;
    open_ground(&g);
    install(&g, data, size);
    if (stays && nucleus_image_whole(g.nucleus, g.port)) {
        live(&g);
    } else {
        give_up(&g);
    }
    nucleus_destroy(g.nucleus);
    netmgr_destroy(g.netmgr);
    CHECK(g.mem.used_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (data[0] == 0) {
        play_frame(data + 1, size - 1);
    } else if (data[0] == 1) {
        play_content(data + 1, size - 1);
    } else {
        play_items(data + 1, size - 1, data[0] == 2);
    }
    return 0;
}
