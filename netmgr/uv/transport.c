#include "transport.h"

#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "identity.h"

enum {
    TURN_ROUNDS = 4, /* of writing and telling, before the loop polls again */
};

const struct transport_limits transport_limits_default = {
    .strangers = 64,
    .strangers_of_one = 4,
    .strangers_loopback = 64,
    .stranger_bytes = 16384,
    .stranger_ms = 3000,
    .dial_ms = 5000,
    .linger_ms = 1000,
    .conns = 4096,
    .refusal_ms = 1000,
    .pending_bytes = (size_t)64 << 20,
};

/* -- the end of a turn ----------------------------------------------------- */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its presence keeps the loop from sleeping */
}

static void tell_drained(struct conn *c)
{
    const struct transport *t = c->t;
    size_t size = c->drained;
    c->drained = 0;
    if (size > 0 && (c->state == CONN_UP || c->state == CONN_ENDING)) {
        t->events.drained(t->ctx, c->id, size);
    }
}

/* Writes and tells for all that are dirty. What is told may give new bytes, so
 * there are rounds, and what is then left is for the next turn. */
static void end_turn(struct transport *t)
{
    uint64_t budget = (uint64_t)TURN_ROUNDS * t->conn_count;
    struct list *first;
    while (budget-- > 0 && (first = list_first(&t->dirty)) != NULL) {
        struct conn *c = LIST_ENTRY(first, struct conn, dirty);
        list_remove(first);
        bool more = conn_flush(c);
        tell_drained(c);
        if (t->closing) {
            return;
        }
        if (more) {
            conn_mark(c);
        }
    }
    if (list_empty(&t->dirty)) {
        (void)uv_idle_stop(&t->idle);
    } else {
        (void)uv_idle_start(&t->idle, on_idle);
    }
}

static void flush_udp(struct transport *t)
{
    if (t->udp != NULL && !t->closing) {
        udp_flush(t->udp);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct transport *t = prepare->data;
    t->turn++;
    end_turn(t);
    flush_udp(t);
}

static void on_check(uv_check_t *check)
{
    end_turn(check->data);
}

void transport_flush(struct transport *t)
{
    /* They stay dirty: what is to be told waits for the end of the turn. Whoever
     * stopped because much was under way waits for that, so it comes soon. */
    bool soon = false;
    list_foreach (node, &t->dirty) {
        struct conn *c = LIST_ENTRY(node, struct conn, dirty);
        soon = conn_flush(c) || soon || c->drained >= TELL_BYTES;
    }
    if (soon && !t->closing) {
        (void)uv_idle_start(&t->idle, on_idle);
    }
    flush_udp(t);
}

/* -- accepting ------------------------------------------------------------- */

/* Turns a newcomer away if there are too many like it. */
static bool turned_away(struct conn *c)
{
    const struct transport *t = c->t;
    const struct sockaddr *sa = (const struct sockaddr *)&c->remote;
    uint32_t all = 0;
    uint32_t of_one = 0;
    list_foreach (node, &t->conns) {
        const struct conn *other = LIST_ENTRY(node, struct conn, node);
        if (other->state == CONN_HANDSHAKE && !other->dialled) {
            all++;
            of_one += address_same_source(
                sa, (const struct sockaddr *)&other->remote);
        }
    }
    const uint32_t of_one_max = address_is_loopback(sa)
                                    ? t->limits.strangers_loopback
                                    : t->limits.strangers_of_one;
    if (all >= t->limits.strangers) {
        conn_fail(c, CAUSE_CROWD, "%u others are not yet authenticated", all);
    } else if (of_one >= of_one_max) {
        conn_fail(c, CAUSE_CROWD_OF_ONE,
                  "%u others from its address are not yet authenticated",
                  of_one);
    }
    return c->state == CONN_CLOSED;
}

static void on_dropped(uv_handle_t *handle)
{
    struct transport *t = handle->data;
    free(handle);
    transport_unref(t);
}

/* Accepts and closes: left alone, it would stop the listener. */
static void drop(struct transport *t, uv_stream_t *listener)
{
    uv_tcp_t *tcp = calloc(1, sizeof *tcp);
    CHECK(tcp != NULL);
    CHECK(uv_tcp_init(t->loop, tcp) == 0);
    tcp->data = t;
    t->refs++;
    (void)uv_accept(listener, (uv_stream_t *)tcp);
    uv_close((uv_handle_t *)tcp, on_dropped);
    refused(t, CAUSE_LIMIT, "?", "there are too many connections");
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct transport *t = listener->data;
    if (status < 0) {
        return;
    }
    if (t->conn_count >= t->limits.conns) {
        drop(t, listener);
        return;
    }
    struct conn *c = conn_create(t);
    int size = sizeof c->remote;
    int err = uv_accept(listener, (uv_stream_t *)&c->tcp);
    if (err == 0) {
        err = uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&c->remote, &size);
    }
    address_text((const struct sockaddr *)&c->remote, c->addr);
    if (err < 0) {
        conn_fail(c, CAUSE_LEFT, "left at once: %s", uv_strerror(err));
        return;
    }
    if (!turned_away(c)) {
        conn_deadline(c, t->limits.stranger_ms);
        conn_begin(c);
    }
}

/* -- life ------------------------------------------------------------------ */

static void release(struct transport *t)
{
    SSL_CTX_free(t->tls);
    BIO_meth_free(t->bio);
    byteq_store_fini(&t->store);
    free(t->slots);
    free(t->cluster);
    free(t->ca_file);
    free(t->cert_file);
    free(t->key_file);
    free(t);
}

void transport_unref(struct transport *t)
{
    CHECK(t->refs > 0);
    if (--t->refs == 0) {
        release(t);
    }
}

static char *copy(const char *text)
{
    char *s = strdup(text);
    CHECK(s != NULL);
    return s;
}

static SSL_CTX *load(const struct transport *t, uint64_t *site, char *why,
                     size_t why_size)
{
    const struct tls_files files = {
        .ca = t->ca_file, .cert = t->cert_file, .key = t->key_file};
    return tls_load(&files, t->cluster, site, why, why_size);
}

/* Everything that needs no loop. NULL and `why` on failure. */
static struct transport *prepare(const struct transport_config *cfg,
                                 const struct transport_limits *limits,
                                 char *why, size_t why_size)
{
    struct transport *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->slots = calloc(CONN_SLOTS, sizeof(struct conn *));
    CHECK(t->slots != NULL);
    t->loop = cfg->loop;
    t->limits = *limits;
    t->events = cfg->events;
    t->ctx = cfg->ctx;
    t->turn = 1;
    t->cluster = copy(cfg->cluster);
    if (cfg->detour != NULL) {
        (void)uv_inet_pton(AF_INET, cfg->detour, &t->detour);
    }
    list_init(&t->conns);
    list_init(&t->dirty);
    if (cfg->insecure) {
        return t;
    }
    if (cfg->ca_file == NULL || cfg->cert_file == NULL ||
        cfg->key_file == NULL) {
        (void)snprintf(why, why_size,
                       "a secure site needs three files: authority, "
                       "certificate and key; 'motet up' makes them");
        release(t);
        return NULL;
    }
    t->ca_file = copy(cfg->ca_file);
    t->cert_file = copy(cfg->cert_file);
    t->key_file = copy(cfg->key_file);
    t->bio = conn_bio_method();
    t->tls = load(t, &t->site, why, why_size);
    if (t->tls == NULL) {
        release(t);
        return NULL;
    }
    return t;
}

/* libuv writes without MSG_NOSIGNAL: a peer that leaves would kill us. */
static void ignore_broken_pipes(void)
{
    struct sigaction old;
    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL) {
        old.sa_handler = SIG_IGN;
        (void)sigaction(SIGPIPE, &old, NULL);
    }
}

/* Enters the loop. With a socket that listens already, nothing can fail here
 * but for want of memory. */
static void enter(struct transport *t, int fd)
{
    struct sockaddr_storage sa = {0};
    int size = sizeof sa;
    uv_stream_t *listener = (uv_stream_t *)&t->listener;
    CHECK(uv_tcp_init(t->loop, &t->listener) == 0);
    CHECK(uv_tcp_open(&t->listener, fd) == 0);
    CHECK(uv_prepare_init(t->loop, &t->prepare) == 0);
    CHECK(uv_check_init(t->loop, &t->check) == 0);
    CHECK(uv_idle_init(t->loop, &t->idle) == 0);
    t->refs = t->udp != NULL ? 5 : 4;
    t->listener.data = t;
    t->prepare.data = t;
    t->check.data = t;
    t->idle.data = t;
    CHECK(uv_listen(listener, LISTEN_BACKLOG, on_connection) == 0);
    CHECK(uv_prepare_start(&t->prepare, on_prepare) == 0);
    CHECK(uv_check_start(&t->check, on_check) == 0);
    uv_unref((uv_handle_t *)&t->prepare);
    uv_unref((uv_handle_t *)&t->check);
    CHECK(uv_tcp_getsockname(&t->listener, (struct sockaddr *)&sa, &size) == 0);
    address_text((const struct sockaddr *)&sa, t->address);
}

struct transport *transport_open_limited(const struct transport_config *cfg,
                                         const struct transport_limits *limits,
                                         char *why, size_t why_size)
{
    CHECK(cfg->loop != NULL && cfg->listen != NULL && cfg->cluster != NULL);
    CHECK(limits->conns <= CONN_SLOTS / 2);
    struct transport *t = prepare(cfg, limits, why, why_size);
    if (t == NULL) {
        return NULL;
    }
    int fd = transport_listen(t, cfg, why, why_size);
    if (fd < 0) {
        release(t);
        return NULL;
    }
    ignore_broken_pipes();
    enter(t, fd);
    return t;
}

struct transport *transport_open(const struct transport_config *cfg, char *why,
                                 size_t why_size)
{
    return transport_open_limited(cfg, &transport_limits_default, why,
                                  why_size);
}

static void on_own_closed(uv_handle_t *handle)
{
    transport_unref(handle->data);
}

static void on_udp_closed(void *ctx)
{
    transport_unref(ctx);
}

void transport_close(struct transport *t)
{
    if (t->closing) {
        return;
    }
    transport_flush(t);
    t->closing = true;
    list_foreach (node, &t->conns) {
        struct conn *c = LIST_ENTRY(node, struct conn, node);
        if (c->state == CONN_UP && c->ssl != NULL && c->wire.size == 0) {
            ERR_clear_error();
            (void)SSL_shutdown(c->ssl);
        }
        conn_close(c);
    }
    if (t->udp != NULL) {
        udp_close(t->udp, on_udp_closed);
        t->udp = NULL;
    }
    uv_close((uv_handle_t *)&t->listener, on_own_closed);
    uv_close((uv_handle_t *)&t->prepare, on_own_closed);
    uv_close((uv_handle_t *)&t->check, on_own_closed);
    uv_close((uv_handle_t *)&t->idle, on_own_closed);
}

void transport_drop_all(struct transport *t)
{
    list_foreach (node, &t->conns) {
        conn_close(LIST_ENTRY(node, struct conn, node));
    }
}

void transport_drop_direct(struct transport *t)
{
    list_foreach (node, &t->conns) {
        struct conn *c = LIST_ENTRY(node, struct conn, node);
        if (t->detour.s_addr != 0 && c->dialled && !c->on_detour &&
            c->state != CONN_RESOLVING && c->state != CONN_CLOSED) {
            conn_close(c);
        }
    }
}

/* -- the rest of the interface --------------------------------------------- */

const char *transport_address(const struct transport *t)
{
    return t->address;
}

uint64_t transport_site(const struct transport *t)
{
    return t->site;
}

void transport_dial(struct transport *t, uint64_t dial, uint64_t peer,
                    const char *addr)
{
    if (t->closing) {
        return;
    }
    struct conn *c = conn_create(t);
    c->dialled = true;
    c->dial = dial;
    c->peer.expect = peer;
    conn_deadline(c, t->limits.dial_ms);
    if (t->conn_count > t->limits.conns) {
        conn_fail(c, CAUSE_LIMIT,
                  "cannot dial %.100s: more than %u connections", addr,
                  t->limits.conns);
        return;
    }
    dial_start(c, addr);
}

void transport_write(struct transport *t, uint64_t conn, const void *data,
                     size_t size)
{
    struct conn *c = conn_by_id(t, conn);
    if (c == NULL || size == 0) {
        return;
    }
    struct byteq *q = c->ssl == NULL ? &c->wire : &c->plain;
    if (c->plain.size + c->wire.size + size > t->limits.pending_bytes ||
        !byteq_append(q, data, size)) {
        conn_close(c);
        return;
    }
    conn_mark(c);
}

bool transport_secret(struct transport *t, uint64_t conn,
                      uint8_t secret[PATH_SECRET_BYTES])
{
    static const char label[] = "EXPORTER-motet-udp-v1";
    const struct conn *c = conn_by_id(t, conn);
    return c != NULL && c->ssl != NULL &&
           SSL_export_keying_material(c->ssl, secret, PATH_SECRET_BYTES, label,
                                      sizeof label - 1, NULL, 0, 0) == 1;
}

bool transport_udp_addr(struct transport *t, uint64_t conn,
                        struct path_addr *addr)
{
    struct sockaddr_storage sa = {0};
    int size = sizeof sa;
    const struct conn *c = conn_by_id(t, conn);
    return c != NULL && c->dialled && t->udp != NULL &&
           uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&sa, &size) == 0 &&
           udp_addr((const struct sockaddr *)&sa, addr);
}

void transport_datagram(struct transport *t, const struct path_addr *to,
                        const uint8_t *data, size_t size)
{
    if (t->udp != NULL) {
        udp_send(t->udp, to, data, size);
    }
}

struct udp_counts transport_udp_counts(const struct transport *t)
{
    return t->udp != NULL ? udp_counts(t->udp) : (struct udp_counts){0};
}

void transport_close_conn(struct transport *t, uint64_t conn)
{
    struct conn *c = conn_by_id(t, conn);
    if (c != NULL) {
        c->state = CONN_ENDING;
        conn_deadline(c, t->limits.linger_ms);
        conn_mark(c);
    }
}

bool transport_reload(struct transport *t, char *why, size_t why_size)
{
    if (t->tls == NULL) {
        return true;
    }
    uint64_t site;
    SSL_CTX *tls = load(t, &site, why, why_size);
    if (tls == NULL) {
        return false;
    }
    if (site != t->site) {
        (void)snprintf(why, why_size,
                       "%s is the certificate of another site, %016llx; "
                       "this one is %016llx and needs a restart to change",
                       t->cert_file, (unsigned long long)site,
                       (unsigned long long)t->site);
        SSL_CTX_free(tls);
        return false;
    }
    SSL_CTX_free(t->tls);
    t->tls = tls;
    return true;
}

uint64_t transport_site_of(const char *cert_file, char *why, size_t why_size)
{
    char text[TLS_WHY_MAX];
    uint64_t site = 0;
    X509 *cert = tls_read_cert(cert_file, why, why_size);
    if (cert == NULL) {
        return 0;
    }
    if (!identity_of(cert, NULL, &site, text, sizeof text)) {
        (void)snprintf(why, why_size, "the certificate in %s %s", cert_file,
                       text);
        site = 0;
    }
    X509_free(cert);
    return site;
}
