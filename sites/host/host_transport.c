#include <string.h>

#include "host_inside.h"
#include "netmgr/uv/transport.h"
#include "nucleus/base/hash.h"

/* What the transport tells the site. */

enum {
    DIAL_BITS = 48,     /* of a dial's number; above it, which life dialed */
    WORK_BYTES = 12288, /* read, then answered before more is read: so the two
                         * ends of a stream work at the same time */
};

/* A site reborn numbers its dials anew: what the life before it had asked for
 * must not be taken for its own. */
uint64_t host_dial_mark(const struct host *h)
{
    return (uint64_t)(h->lives & 0xffff) << DIAL_BITS;
}

static bool dial_is_ours(const struct host *h, uint64_t dial)
{
    return dial >> DIAL_BITS == host_dial_mark(h) >> DIAL_BITS;
}

static void on_up(void *ctx, uint64_t conn, uint64_t peer, uint64_t dial,
                  const char *addr)
{
    struct host *h = ctx;

    if (h->site == NULL || (dial != 0 && !dial_is_ours(h, dial))) {
        transport_close_conn(h->transport, conn);
        return;
    }
    uint8_t secret[PATH_SECRET_BYTES];
    struct path_addr udp;
    const bool known = transport_secret(h->transport, conn, secret);
    const bool has_udp = transport_udp_addr(h->transport, conn, &udp);
    host_feed(h,
              &(struct site_in){.kind = SITE_IN_CONN_UP,
                                .conn = conn,
                                .peer = peer,
                                .dial = dial & (((uint64_t)1 << DIAL_BITS) - 1),
                                .secret = known ? secret : NULL,
                                .udp = has_udp ? &udp : NULL,
                                .addr = addr});
    explicit_bzero(secret, sizeof secret);
}

static void was_fed(struct host *h, size_t size)
{
    h->fed += size;
    if (h->fed >= WORK_BYTES && h->site != NULL && h->end == HOST_RUNNING) {
        host_work(h);
    }
}

static void on_bytes(void *ctx, uint64_t conn, const uint8_t *data, size_t size)
{
    struct host *h = ctx;

    host_feed(h, &(struct site_in){.kind = SITE_IN_BYTES,
                                   .conn = conn,
                                   .bytes = data,
                                   .size = size});
    was_fed(h, size);
}

static void on_datagram(void *ctx, const struct path_addr *from,
                        const uint8_t *data, size_t size)
{
    struct host *h = ctx;

    host_feed(h, &(struct site_in){.kind = SITE_IN_DATAGRAM,
                                   .from = from,
                                   .bytes = data,
                                   .size = size});
    was_fed(h, size);
}

static void on_drained(void *ctx, uint64_t conn, size_t size)
{
    host_feed(ctx, &(struct site_in){
                       .kind = SITE_IN_DRAINED, .conn = conn, .size = size});
}

static void on_down(void *ctx, uint64_t conn)
{
    host_feed(ctx, &(struct site_in){.kind = SITE_IN_CONN_DOWN, .conn = conn});
}

static void on_dial_failed(void *ctx, uint64_t dial, const char *why)
{
    struct host *h = ctx;

    if (!h->ready) {
        log_line(&h->log, LOG_NOTE, "cannot connect: %s", why);
    }
    if (dial_is_ours(h, dial)) {
        dial &= ((uint64_t)1 << DIAL_BITS) - 1;
        host_feed(h,
                  &(struct site_in){.kind = SITE_IN_DIAL_FAILED, .dial = dial});
    }
}

static void on_turned_away(void *ctx, const char *addr, const char *why,
                           uint32_t suppressed)
{
    struct host *h = ctx;

    log_line(&h->log, LOG_WARN, "turned away %s: %s (%u more like it)", addr,
             why, suppressed);
}

bool host_open_transport(struct host *h, char *why)
{
    const struct transport_config t = {
        .loop = &h->loop,
        .listen = h->cfg->listen,
        .cluster = h->cfg->cluster,
        .insecure = h->cfg->insecure,
        .datagrams = config_datagrams(h->cfg),
        .ca_file = h->cfg->ca,
        .cert_file = h->cfg->cert,
        .key_file = h->cfg->key,
        .detour = h->cfg->detour,
        .events = {.up = on_up,
                   .bytes = on_bytes,
                   .drained = on_drained,
                   .down = on_down,
                   .dial_failed = on_dial_failed,
                   .refused = on_turned_away,
                   .datagram = on_datagram},
        .ctx = h,
    };

    h->transport = transport_open(&t, why, CONFIG_WHY_MAX);
    if (h->transport == NULL) {
        return false;
    }
    h->site_id = transport_site(h->transport);
    if (h->site_id == 0) { /* insecure: a name is all the identity there is */
        static const uint64_t key[2] = {0x6d6f746574, 0x696e736563};
        h->site_id = hash_bytes(key, h->cfg->name, strlen(h->cfg->name)) | 1;
    }
    return true;
}
