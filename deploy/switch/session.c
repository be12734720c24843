#include <stdlib.h>
#include <string.h>

#include "relay.h"

/* Connections through the relay. Each half (what one end says, on its way to
 * the other) is a queue of pieces with the times at which they arrive. A cut
 * link is not read from: its pieces wait, as on a wire that was pulled, and go
 * on when it is whole again. A connection that came while the link was cut
 * waits for its other end. What a blackhole took is missing: such a connection
 * is reset when the blackhole is gone. A link that resets ends them all. */

enum {
    SESSIONS_MAX = 4096,
    HALF_MAX = 4 << 20, /* bytes on their way; then no more is read */
    READ_BYTES = 65536,
};

enum what { PIECE_BYTES = 1, PIECE_END, PIECE_RESET };

struct half;

struct piece {
    struct deadline due; /* the first: net's clock knows it by this */
    struct list link;
    struct half *half;
    uv_write_t write;
    uint64_t at_ns;
    enum what what;
    size_t size;
    uint8_t bytes[];
};

struct session;

struct half {
    struct session *session;
    unsigned side;
    struct list pieces;
    size_t held; /* bytes: of pieces, and being written */
    bool reading;
    bool ended;   /* its end says no more */
    bool told;    /* and the other end knows */
    bool spoiled; /* bytes are missing */
    uint64_t last_ns;
};

enum state { WAITING = 1, CONNECTING, UP, CLOSING };

struct session {
    struct list link;
    struct net *net;
    uint32_t port[2]; /* [0] dialed */
    enum state state;
    uv_tcp_t end[2];
    uv_connect_t connect;
    uv_shutdown_t shutdown[2];
    struct half half[2];
    unsigned handles;
};

static struct fate_link *link_of(const struct half *h)
{
    struct session *s = h->session;

    return &s->net->links[s->port[h->side]][s->port[1 - h->side]].fate;
}

/* ---- the end ---------------------------------------------------------------
 */

static void piece_free(struct piece *p)
{
    struct net *n = p->half->session->net;

    deadline_clear(&n->due, &p->due);
    list_remove(&p->link);
    mem_free(&n->mem, p, sizeof *p + p->size);
}

static void on_closed(uv_handle_t *handle)
{
    struct session *s = handle->data;

    if (--s->handles > 0) {
        return;
    }
    s->net->relayed_count--;
    free(s);
}

static void session_end(struct session *s, bool reset)
{
    if (s->state == CLOSING) {
        return;
    }
    s->state = CLOSING;
    list_remove(&s->link);
    for (unsigned i = 0; i < 2; i++) {
        list_foreach (it, &s->half[i].pieces) {
            piece_free(LIST_ENTRY(it, struct piece, link));
        }
        if (!reset || uv_tcp_close_reset(&s->end[i], on_closed) != 0) {
            uv_close((uv_handle_t *)&s->end[i], on_closed);
        }
    }
}

void sessions_end(struct port *p)
{
    list_foreach (it, &p->net->relayed) {
        struct session *s = LIST_ENTRY(it, struct session, link);
        if (s->port[0] == p->index || s->port[1] == p->index) {
            session_end(s, true);
        }
    }
}

/* ---- pieces ----------------------------------------------------------------
 */

static void arm(struct half *h)
{
    struct net *n = h->session->net;
    struct list *first = list_first(&h->pieces);

    if (first == NULL || h->session->state != UP) {
        return;
    }
    struct piece *p = LIST_ENTRY(first, struct piece, link);
    p->due.kind = DUE_PIECE;
    if (!deadline_set(&n->due, &p->due, p->at_ns)) { /* NEVER disarms */
        session_end(h->session, true);
    }
    timer_arm(n);
}

static void judge(struct half *h, struct piece *p)
{
    struct fate_link *l = link_of(h);
    uint64_t flip;
    struct list *last = h->pieces.prev;

    p->at_ns = FATE_NEVER;
    if (last != &h->pieces &&
        LIST_ENTRY(last, struct piece, link)->at_ns == FATE_NEVER) {
        return; /* behind what is held up */
    }
    p->at_ns =
        fate_stream(l, net_now(), p->size > 0 ? p->size : 1, h->last_ns, &flip);
    if (p->at_ns != FATE_NEVER) {
        h->last_ns = p->at_ns;
    }
    if (flip != FATE_WHOLE && p->size > 0) {
        p->bytes[flip / 8] ^= (uint8_t)(1U << flip % 8);
    }
}

static void add_piece(struct half *h, enum what what, const char *bytes,
                      size_t size)
{
    struct session *s = h->session;

    if (link_of(h)->params.reset) {
        session_end(s, true);
        return;
    }
    if (link_of(h)->params.blackhole) {
        h->spoiled = true;
        return;
    }
    struct piece *p = mem_alloc_raw(&s->net->mem, sizeof *p + size);
    if (p == NULL) {
        session_end(s, true);
        return;
    }
    memset(p, 0, sizeof *p);
    p->half = h;
    p->what = what;
    p->size = size;
    if (size > 0) {
        memcpy(p->bytes, bytes, size);
    }
    judge(h, p);
    list_append(&h->pieces, &p->link);
    h->held += size;
    if (list_first(&h->pieces) == &p->link) {
        arm(h);
    }
}

/* ---- reading ---------------------------------------------------------------
 */

static char read_bytes[READ_BYTES];

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)handle;
    (void)size;
    *buf = uv_buf_init(read_bytes, sizeof read_bytes);
}

static void read_or_not(struct half *h);

static struct half *half_of(const uv_stream_t *stream)
{
    struct session *s = stream->data;

    return &s->half[stream == (const uv_stream_t *)&s->end[0] ? 0 : 1];
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct half *h = half_of(stream);
    struct session *s = h->session;

    if (size > 0) {
        add_piece(h, PIECE_BYTES, buf->base, (size_t)size);
    } else if (size < 0) {
        h->ended = true;
        if (s->state == WAITING) {
            session_end(s, true); /* its other end never heard of it */
            return;
        }
        add_piece(h, size == UV_EOF ? PIECE_END : PIECE_RESET, NULL, 0);
    }
    if (s->state != CLOSING) {
        read_or_not(h);
    }
}

static void read_or_not(struct half *h)
{
    struct session *s = h->session;
    uv_stream_t *end = (uv_stream_t *)&s->end[h->side];
    /* One that waits is read, to see it give up. */
    const bool open = s->state == WAITING || !link_of(h)->params.cut;
    const bool want = s->state != CLOSING && open && !h->ended &&
                      h->held < HALF_MAX && (h->side == 0 || s->state == UP);

    if (want == h->reading) {
        return;
    }
    h->reading = want;
    if (!want) {
        (void)uv_read_stop(end);
    } else if (uv_read_start(end, on_alloc, on_read) != 0) {
        session_end(s, true);
    }
}

/* ---- writing ---------------------------------------------------------------
 */

static void on_written(uv_write_t *write, int status)
{
    struct piece *p = write->data;
    struct half *h = p->half;
    struct session *s = h->session;
    const size_t size = p->size;

    piece_free(p);
    h->held -= size;
    if (s->state == CLOSING) {
        return;
    }
    if (status < 0) {
        session_end(s, true);
        return;
    }
    read_or_not(h);
}

static void on_shut(uv_shutdown_t *shutdown, int status)
{
    struct session *s = shutdown->data;

    (void)status;
    if (s->state != CLOSING && s->half[0].told && s->half[1].told) {
        session_end(s, false);
    }
}

static void end_half(struct half *h, struct piece *p)
{
    struct session *s = h->session;
    uv_shutdown_t *req = &s->shutdown[h->side];

    piece_free(p);
    h->told = true;
    req->data = s;
    if (uv_shutdown(req, (uv_stream_t *)&s->end[1 - h->side], on_shut) != 0) {
        session_end(s, true);
    }
}

static void deliver(struct half *h, struct piece *p)
{
    struct session *s = h->session;
    uv_buf_t buf = uv_buf_init((char *)p->bytes, (unsigned)p->size);

    switch (p->what) {
    case PIECE_BYTES:
        deadline_clear(&s->net->due, &p->due);
        list_remove(&p->link);
        p->write.data = p;
        if (uv_write(&p->write, (uv_stream_t *)&s->end[1 - h->side], &buf, 1,
                     on_written) != 0) {
            piece_free(p);
            session_end(s, true);
        }
        break;
    case PIECE_END:
        end_half(h, p);
        break;
    case PIECE_RESET:
    default:
        session_end(s, true);
    }
}

void relay_due(struct piece *first)
{
    struct half *h = first->half;
    struct session *s = h->session;
    const uint64_t now_ns = net_now();

    for (struct piece *p = first; s->state == UP && p->at_ns <= now_ns;) {
        deliver(h, p);
        if (s->state != UP || list_empty(&h->pieces)) {
            return;
        }
        p = LIST_ENTRY(list_first(&h->pieces), struct piece, link);
    }
    arm(h);
}

/* ---- the beginning ---------------------------------------------------------
 */

static void on_connected(uv_connect_t *connect, int status)
{
    struct session *s = connect->data;

    if (s->state == CLOSING) {
        return;
    }
    if (status < 0) {
        session_end(s, true);
        return;
    }
    s->state = UP;
    for (unsigned i = 0; i < 2 && s->state == UP; i++) {
        (void)uv_tcp_nodelay(&s->end[i], 1);
        arm(&s->half[i]);
        read_or_not(&s->half[i]);
    }
}

static bool is_closed(const struct fate_link *l)
{
    return l->params.cut || l->params.blackhole;
}

/* Dials the other end, once the link passes both ways. */
static void dial(struct session *s)
{
    const struct relay *to = s->net->ports[s->port[1]].relay;

    if (s->state != WAITING || is_closed(link_of(&s->half[0])) ||
        is_closed(link_of(&s->half[1]))) {
        return;
    }
    s->state = CONNECTING;
    s->connect.data = s;
    if (uv_tcp_connect(&s->connect, &s->end[1], sockaddr_of(&to->target),
                       on_connected) != 0) {
        session_end(s, true);
    }
}

void session_accept(struct door *d)
{
    struct net *n = d->net;
    struct session *s = calloc(1, sizeof *s);

    CHECK(s != NULL && uv_tcp_init(&n->loop, &s->end[0]) == 0 &&
          uv_tcp_init(&n->loop, &s->end[1]) == 0);
    s->net = n;
    s->port[0] = d->from;
    s->port[1] = d->to;
    s->state = WAITING;
    s->handles = 2;
    for (unsigned i = 0; i < 2; i++) {
        s->end[i].data = s;
        s->half[i].session = s;
        s->half[i].side = i;
        list_init(&s->half[i].pieces);
    }
    list_append(&n->relayed, &s->link);
    n->relayed_count++;
    if (uv_accept((uv_stream_t *)&d->tcp, (uv_stream_t *)&s->end[0]) != 0 ||
        n->relayed_count > SESSIONS_MAX) {
        session_end(s, true);
        return;
    }
    dial(s);
    if (s->state != CLOSING) {
        read_or_not(&s->half[0]);
    }
}

/* ---- the links have changed ------------------------------------------------
 */

static void judge_again(struct half *h)
{
    struct list held;

    list_init(&held);
    list_foreach (it, &h->pieces) {
        struct piece *p = LIST_ENTRY(it, struct piece, link);
        if (p->at_ns == FATE_NEVER) {
            list_remove(it);
            list_append(&held, it);
        }
    }
    list_foreach (it, &held) {
        struct piece *p = LIST_ENTRY(it, struct piece, link);
        list_remove(it);
        judge(h, p);
        list_append(&h->pieces, it);
    }
    arm(h);
}

void relay_relinked(struct net *n)
{
    list_foreach (it, &n->relayed) {
        struct session *s = LIST_ENTRY(it, struct session, link);
        dial(s);
        for (unsigned i = 0; i < 2 && s->state != CLOSING; i++) {
            struct half *h = &s->half[i];
            if ((h->spoiled && !link_of(h)->params.blackhole) ||
                link_of(h)->params.reset) {
                session_end(s, true);
                break;
            }
            judge_again(h);
            if (s->state != CLOSING) {
                read_or_not(h);
            }
        }
    }
}
