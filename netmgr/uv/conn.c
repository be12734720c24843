#include "conn.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_deadline(uv_timer_t *timer);

/* -- life ------------------------------------------------------------------ */

struct conn *conn_by_id(const struct transport *t, uint64_t id)
{
    struct conn *c = t->slots[id & (CONN_SLOTS - 1)];
    return c != NULL && c->id == id && c->state == CONN_UP ? c : NULL;
}

struct conn *conn_create(struct transport *t)
{
    CHECK(t->conn_count < CONN_SLOTS);
    struct conn *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    while (t->slots[t->slot_hint] != NULL) {
        t->slot_hint = (t->slot_hint + 1) % CONN_SLOTS;
    }
    t->slots[t->slot_hint] = c;
    t->conn_count++;
    t->refs++;
    t->serial++;
    c->id = t->serial << CONN_SLOT_BITS | t->slot_hint;
    c->t = t;
    c->refs = 2;
    c->peer.cluster = t->cluster;
    byteq_init(&c->plain, &t->store);
    byteq_init(&c->wire, &t->store);
    list_append(&t->conns, &c->node);
    CHECK(uv_tcp_init(t->loop, &c->tcp) == 0);
    CHECK(uv_timer_init(t->loop, &c->timer) == 0);
    c->tcp.data = c;
    c->timer.data = c;
    return c;
}

void conn_deadline(struct conn *c, uint32_t ms)
{
    /* The loop's clock is as old as its turn, and a turn can be long. */
    uv_update_time(c->t->loop);
    CHECK(uv_timer_start(&c->timer, on_deadline, ms, 0) == 0);
}

void conn_mark(struct conn *c)
{
    if (c->state != CONN_CLOSED && !list_linked(&c->dirty)) {
        list_append(&c->t->dirty, &c->dirty);
    }
}

void conn_unref(struct conn *c)
{
    CHECK(c->refs > 0);
    if (--c->refs > 0) {
        return;
    }
    struct transport *t = c->t;
    SSL_free(c->ssl);
    uv_freeaddrinfo(c->found);
    byteq_clear(&c->plain);
    byteq_clear(&c->wire);
    list_remove(&c->node);
    free(c);
    transport_unref(t);
}

void refused(struct transport *t, enum tls_cause cause, const char *addr,
             const char *why)
{
    struct refusal *r = &t->refusals[cause];
    uint64_t now_ms = uv_now(t->loop);
    if (now_ms < r->next_ms) {
        r->suppressed++;
        return;
    }
    uint32_t suppressed = r->suppressed;
    r->suppressed = 0;
    r->next_ms = now_ms + t->limits.refusal_ms;
    t->events.refused(t->ctx, addr, why, suppressed);
}

static void tell_end(const struct conn *c)
{
    struct transport *t = c->t;
    if (c->was_up) {
        t->events.down(t->ctx, c->id);
    } else if (c->dialled) {
        t->events.dial_failed(t->ctx, c->dial, c->why);
    } else {
        refused(t, c->cause, c->addr, c->why);
    }
}

void conn_on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct transport *t = c->t;
    t->slots[c->id & (CONN_SLOTS - 1)] = NULL;
    t->conn_count--;
    if (!t->closing) {
        tell_end(c);
    }
    conn_unref(c);
}

static void on_timer_closed(uv_handle_t *handle)
{
    conn_unref(handle->data);
}

/* What OpenSSL still has to say, an alert mostly, if the kernel takes it. */
static void last_words(struct conn *c)
{
    uv_buf_t pieces[PIECES_MAX];
    unsigned n = byteq_peek(&c->wire, pieces, PIECES_MAX);
    if (n > 0 && !c->writing && !c->shut) {
        (void)uv_try_write((uv_stream_t *)&c->tcp, pieces, n);
    }
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSED) {
        return;
    }
    last_words(c);
    if (c->state == CONN_RESOLVING) {
        (void)uv_cancel((uv_req_t *)&c->resolve);
    }
    c->state = CONN_CLOSED;
    list_remove(&c->dirty);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    if (!uv_is_closing((uv_handle_t *)&c->tcp)) {
        uv_close((uv_handle_t *)&c->tcp, conn_on_closed);
    }
}

void conn_fail(struct conn *c, enum tls_cause cause, const char *fmt, ...)
{
    if (c->state == CONN_CLOSED) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(c->why, sizeof c->why, fmt, args);
    va_end(args);
    c->cause = cause;
    conn_close(c);
}

static void on_deadline(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    if (c->state == CONN_ENDING) {
        conn_close(c);
    } else if (c->dialled) {
        conn_fail(c, CAUSE_SLOW, "%s gave no answer within %u ms", c->addr,
                  c->t->limits.dial_ms);
    } else {
        conn_fail(c, CAUSE_SLOW, "did not authenticate within %u ms",
                  c->t->limits.stranger_ms);
    }
}

/* -- between OpenSSL and the queues ---------------------------------------- */

static int bio_read(BIO *bio, char *out, int size)
{
    struct conn *c = BIO_get_data(bio);
    size_t n = c->in_size < (size_t)size ? c->in_size : (size_t)size;
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (c->state < CONN_UP) {
        c->stranger_bytes += n;
        if (c->stranger_bytes > c->t->limits.stranger_bytes) {
            c->too_much = true;
            return -1;
        }
    }
    memcpy(out, c->in, n);
    c->in += n;
    c->in_size -= n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int size)
{
    struct conn *c = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (c->wire.size > WIRE_BYTES_MAX ||
        !byteq_append(&c->wire, data, (size_t)size)) {
        c->too_much = true;
        return -1;
    }
    return size;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

BIO_METHOD *conn_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "motet");
    CHECK(method != NULL);
    CHECK(BIO_meth_set_read(method, bio_read) == 1);
    CHECK(BIO_meth_set_write(method, bio_write) == 1);
    CHECK(BIO_meth_set_ctrl(method, bio_ctrl) == 1);
    return method;
}

static void start_tls(struct conn *c)
{
    BIO *bio = BIO_new(c->t->bio);
    c->ssl = SSL_new(c->t->tls);
    CHECK(bio != NULL && c->ssl != NULL);
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(c->ssl, bio, bio);
    tls_bind(c->ssl, &c->peer);
    if (c->dialled) {
        SSL_set_connect_state(c->ssl);
    } else {
        SSL_set_accept_state(c->ssl);
    }
}

/* -- reading --------------------------------------------------------------- */

static void become_up(struct conn *c)
{
    const struct transport *t = c->t;
    CHECK(uv_timer_stop(&c->timer) == 0);
    c->state = CONN_UP;
    c->was_up = true;
    t->events.up(t->ctx, c->id, c->peer.site, c->dialled ? c->dial : 0,
                 c->addr);
}

/* Why the last call of OpenSSL failed, as the reason of the end. */
static void fail_in_tls(struct conn *c)
{
    char why[TLS_WHY_MAX];
    enum tls_cause cause = tls_failure(&c->peer, why, sizeof why);
    if (c->too_much) {
        conn_fail(c, CAUSE_TOO_MUCH,
                  "sent more than %u bytes before it was authenticated",
                  c->t->limits.stranger_bytes);
    } else if (c->dialled) {
        conn_fail(c, cause, "%.80s: %.160s", c->addr, why);
    } else {
        conn_fail(c, cause, "%s", why);
    }
}

/* The handshake is done: the dialler waits for the acceptor's first byte, since
 * in TLS 1.3 it is done before the acceptor has judged. */
static void authenticated(struct conn *c)
{
    static const uint8_t welcome = WELCOME;
    if (!tls_protocol_ok(c->ssl) || c->peer.site == 0) {
        conn_fail(c, CAUSE_VERSION, "does not offer the protocol motet/1");
        return;
    }
    if (c->dialled) {
        c->state = CONN_WELCOME;
        return;
    }
    ERR_clear_error();
    if (SSL_write(c->ssl, &welcome, 1) != 1) {
        fail_in_tls(c);
        return;
    }
    become_up(c);
}

static void shake_hands(struct conn *c)
{
    ERR_clear_error();
    int done = SSL_do_handshake(c->ssl);
    if (done == 1) {
        authenticated(c);
    } else if (SSL_get_error(c->ssl, done) != SSL_ERROR_WANT_READ) {
        fail_in_tls(c);
    }
    if (c->wire.size > 0) {
        conn_mark(c);
    }
}

static void deliver(struct conn *c, const uint8_t *data, size_t size)
{
    if (c->state == CONN_WELCOME) {
        if (data[0] != WELCOME) {
            conn_fail(c, CAUSE_VERSION, "%s: no welcome from it", c->addr);
            return;
        }
        become_up(c);
        data++;
        size--;
    }
    if (size > 0 && c->state == CONN_UP) {
        c->t->events.bytes(c->t->ctx, c->id, data, size);
    }
}

static void read_ended(struct conn *c, int result)
{
    int err = SSL_get_error(c->ssl, result);
    if (err == SSL_ERROR_WANT_READ) {
        return;
    }
    if (c->state == CONN_UP) {
        conn_close(c);
    } else if (err == SSL_ERROR_ZERO_RETURN) {
        conn_fail(c, CAUSE_LEFT, "%s closed the connection", c->addr);
    } else {
        fail_in_tls(c);
    }
}

static void pump(struct conn *c)
{
    struct transport *t = c->t;
    if (c->state == CONN_HANDSHAKE) {
        shake_hands(c);
    }
    while (c->state == CONN_WELCOME || c->state == CONN_UP) {
        ERR_clear_error();
        int n = SSL_read(c->ssl, t->plain, sizeof t->plain);
        if (n <= 0) {
            read_ended(c, n);
            break;
        }
        deliver(c, t->plain, (size_t)n);
    }
    if (c->wire.size > 0) {
        conn_mark(c);
    }
}

/* One read in a turn: libuv would read up to 32 times while the others wait. No
 * buffer makes it stop, with UV_ENOBUFS; what is left it finds in the next. */
static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct conn *c = handle->data;
    (void)wanted;
    if (c->read_turn == c->t->turn) {
        *buf = uv_buf_init(NULL, 0);
        return;
    }
    c->read_turn = c->t->turn;
    *buf = uv_buf_init((char *)c->t->read, sizeof c->t->read);
}

static void left(struct conn *c, int err)
{
    if (c->was_up) {
        conn_close(c);
    } else if (c->dialled) {
        conn_fail(c, CAUSE_LEFT,
                  "%s closed the connection in the handshake (%s); is it "
                  "insecure, or of another cluster?",
                  c->addr, uv_strerror(err));
    } else {
        conn_fail(c, CAUSE_LEFT, "left before it was authenticated");
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (n == 0 || n == UV_ENOBUFS) {
        return;
    }
    if (n < 0) {
        left(c, (int)n);
        return;
    }
    c->in = (const uint8_t *)buf->base;
    c->in_size = (size_t)n;
    if (c->ssl == NULL) {
        deliver(c, c->in, c->in_size);
    } else {
        pump(c);
    }
    c->in_size = 0;
}

/* -- writing --------------------------------------------------------------- */

static void on_written(uv_write_t *write, int status);

/* Encrypts a batch, once the one before has left. */
static bool encode(struct conn *c)
{
    if (c->ssl == NULL || c->wire.size > 0) {
        return true;
    }
    while (c->plain.size > 0 && c->wire.size < ENCODE_BYTES) {
        uv_buf_t piece;
        CHECK(byteq_peek(&c->plain, &piece, 1) == 1);
        size_t size = piece.len < RECORD_BYTES ? piece.len : RECORD_BYTES;
        ERR_clear_error();
        int n = SSL_write(c->ssl, piece.base, (int)size);
        if (n <= 0) {
            return false;
        }
        byteq_consume(&c->plain, (size_t)n);
        c->encoded += (size_t)n;
    }
    return true;
}

static void wrote(struct conn *c, size_t size)
{
    byteq_consume(&c->wire, size);
    if (c->ssl == NULL) {
        c->drained += size;
    } else if (c->wire.size == 0) {
        c->drained += c->encoded;
        c->encoded = 0;
    }
}

/* Writes from the front of `wire`; what the kernel does not take now is left
 * to libuv. Returns the bytes gone, or an error. */
static ssize_t write_some(struct conn *c)
{
    uv_buf_t pieces[PIECES_MAX];
    uv_stream_t *stream = (uv_stream_t *)&c->tcp;
    size_t size = 0;
    unsigned count = byteq_peek(&c->wire, pieces, PIECES_MAX);
    for (unsigned i = 0; i < count; i++) {
        size += pieces[i].len;
    }
    int n = uv_try_write(stream, pieces, count);
    n = n == UV_EAGAIN ? 0 : n;
    if (n < 0) {
        return n;
    }
    wrote(c, (size_t)n);
    if ((size_t)n < size) {
        count = byteq_peek(&c->wire, pieces, PIECES_MAX);
        c->flight = 0;
        for (unsigned i = 0; i < count; i++) {
            c->flight += pieces[i].len;
        }
        int err = uv_write(&c->write, stream, pieces, count, on_written);
        if (err < 0) {
            return err;
        }
        c->write.data = c;
        c->writing = true;
    }
    return n;
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;
    c->writing = false;
    if (status < 0) {
        conn_close(c);
        return;
    }
    wrote(c, c->flight);
    conn_mark(c);
}

static void on_shut(uv_shutdown_t *shutdown, int status)
{
    (void)shutdown, (void)status;
}

/* All was written: says good-bye. The peer closes when it hears it; closing
 * first could take back bytes that it has not read. */
static void finish(struct conn *c)
{
    uv_stream_t *stream = (uv_stream_t *)&c->tcp;
    if (c->ssl != NULL) {
        ERR_clear_error();
        (void)SSL_shutdown(c->ssl);
        last_words(c);
        byteq_clear(&c->wire);
    }
    c->shut = true;
    if (uv_shutdown(&c->shutdown, stream, on_shut) < 0) {
        conn_close(c);
    }
}

bool conn_flush(struct conn *c)
{
    size_t written = 0;
    while (c->state != CONN_CLOSED && !c->writing && !c->shut) {
        if (!encode(c)) {
            conn_close(c);
            return false;
        }
        if (c->wire.size == 0) {
            if (c->state == CONN_ENDING) {
                finish(c);
            }
            return false;
        }
        if (written >= TURN_BYTES) {
            return true;
        }
        ssize_t n = write_some(c);
        if (n < 0) {
            left(c, (int)n);
            return false;
        }
        written += (size_t)n;
    }
    return false;
}

/* -- begin ----------------------------------------------------------------- */

static void tune(struct conn *c)
{
    int fd;
    int unsent = UNSENT_BYTES;
    (void)uv_tcp_nodelay(&c->tcp, 1);
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0) {
        /* So that a control frame does not wait behind megabytes. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
                         sizeof unsent);
    }
}

void conn_begin(struct conn *c)
{
    tune(c);
    c->state = CONN_HANDSHAKE;
    int err = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    if (err < 0) {
        left(c, err);
        return;
    }
    if (c->t->tls == NULL) {
        become_up(c);
        return;
    }
    start_tls(c);
    if (c->dialled) {
        shake_hands(c);
    }
}
