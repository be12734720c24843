#include "carrier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nucleus/base/cursor.h"

enum { PACKET_MAX = 65536, IN_BYTES = LINK_HEADER_BYTES + LINK_PAYLOAD_MAX };

/* A packet that the connection had no room for. */
struct packet {
    struct packet *next;
    size_t size;
    uint8_t bytes[];
};

struct channel {
    uint32_t id;
    int fd;        /* -1: closed here, the other end has not said so yet */
    size_t window; /* bytes that may still be sent */
    size_t slot;   /* in the array of poll(), or SIZE_MAX */
    struct packet *first;
    struct packet **last;
    bool told;  /* CLOSE was sent */
    bool ended; /* CLOSE has come: close when all is written */
};

/* No frame holds these bytes by accident. */
static const uint8_t call[] = {0x6d, 0x6f, 0x74, 0x65, 0x74, 0x9e, 0x37, 0x79,
                               0xb9, 0x7f, 0x4a, 0x7c, 0x15, 0xf3, 0x9c, 0xc0};

struct carrier {
    bool deaf; /* until the other end calls */
    struct carrier_hooks hooks;
    int fd;
    uint32_t next_id;
    size_t count;
    struct channel *channels[CARRIER_CHANNELS_MAX];
    uint8_t in[IN_BYTES];
    size_t in_size;
    uint8_t *out; /* [out_at, out_size) waits for the link */
    size_t out_at;
    size_t out_size;
    size_t out_room;
};

/* ---- the link --------------------------------------------------------------
 */

static void no_wait(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static void put(struct carrier *r, const void *bytes, size_t size)
{
    if (r->out_at == r->out_size) {
        r->out_at = 0;
        r->out_size = 0;
    }
    if (r->out_at > 0 && r->out_room - r->out_size < size) {
        memmove(r->out, r->out + r->out_at, r->out_size - r->out_at);
        r->out_size -= r->out_at;
        r->out_at = 0;
    }
    if (r->out_room - r->out_size < size) {
        r->out_room = r->out_size + size + r->out_room / 2;
        uint8_t *more = realloc(r->out, r->out_room);
        CHECK(more != NULL);
        r->out = more;
    }
    if (size > 0) {
        memcpy(r->out + r->out_size, bytes, size);
        r->out_size += size;
    }
}

static void send_frame(struct carrier *r, enum link_op op, uint32_t channel,
                       const void *payload, size_t size)
{
    uint8_t header[LINK_HEADER_BYTES];

    CHECK(size <= LINK_PAYLOAD_MAX);
    link_header(header, op, channel, size);
    put(r, header, sizeof header);
    put(r, payload, size);
}

void carrier_send(struct carrier *r, enum link_op op, const void *payload,
                  size_t size)
{
    send_frame(r, op, 0, payload, size);
}

/* Where nobody listens any more there may still be something to read: that is
 * how it ends. @return false: it is broken */
static bool write_link(struct carrier *r)
{
    while (r->out_at < r->out_size) {
        ssize_t n = write(r->fd, r->out + r->out_at, r->out_size - r->out_at);
        if (n < 0 && errno != EPIPE && errno != ECONNRESET) {
            return errno == EAGAIN || errno == EINTR;
        }
        r->out_at = n < 0 ? r->out_size : r->out_at + (size_t)n;
    }
    return true;
}

void carrier_flush(struct carrier *r, int ms)
{
    struct pollfd p = {.fd = r->fd, .events = POLLOUT};

    while (write_link(r) && r->out_at < r->out_size && ms > 0) {
        (void)poll(&p, 1, 10);
        ms -= 10;
    }
}

bool carrier_file(struct carrier *r, const char *path)
{
    static uint8_t content[LINK_PAYLOAD_MAX];
    static uint8_t payload[LINK_PAYLOAD_MAX];
    struct link_file file = {.bytes = content};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || strlen(path) >= sizeof file.path) {
        return false;
    }
    ssize_t n = fstat(fd, &st) == 0 ? read(fd, content, sizeof content) : -1;
    close(fd);
    if (n < 0) {
        return false;
    }
    memcpy(file.path, path, strlen(path) + 1);
    file.size = (size_t)n;
    file.mode = st.st_mode & 0777;
    size_t size = link_file_pack(&file, payload, sizeof payload);
    if (size == 0) {
        return false;
    }
    carrier_send(r, LINK_FILE, payload, size);
    return true;
}

/* ---- channels --------------------------------------------------------------
 */

static struct channel *find(const struct carrier *r, uint32_t id)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->channels[i]->id == id) {
            return r->channels[i];
        }
    }
    return NULL;
}

static struct channel *add(struct carrier *r, uint32_t id, int fd)
{
    struct channel *c = calloc(1, sizeof *c);

    CHECK(c != NULL && r->count < CARRIER_CHANNELS_MAX);
    no_wait(fd);
    c->id = id;
    c->fd = fd;
    c->window = LINK_WINDOW;
    c->slot = SIZE_MAX;
    c->last = &c->first;
    r->channels[r->count++] = c;
    return c;
}

static void drop_packets(struct channel *c)
{
    while (c->first != NULL) {
        struct packet *p = c->first;
        c->first = p->next;
        free(p);
    }
    c->last = &c->first;
}

static void shut(struct channel *c)
{
    drop_packets(c);
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

/* Nothing more comes from here; what the other end still sends is dropped. */
static void end_here(struct carrier *r, struct channel *c)
{
    shut(c);
    if (!c->told) {
        send_frame(r, LINK_CLOSE, c->id, NULL, 0);
        c->told = true;
    }
}

/* Forgets channels that both ends have closed. */
static void sweep(struct carrier *r)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->count; i++) {
        struct channel *c = r->channels[i];
        if (c->told && c->ended) {
            shut(c);
            free(c);
        } else {
            r->channels[kept++] = c;
        }
    }
    r->count = kept;
}

void carrier_drop(struct carrier *r)
{
    for (size_t i = 0; i < r->count; i++) {
        shut(r->channels[i]);
        free(r->channels[i]);
    }
    r->count = 0;
}

void carrier_restart(struct carrier *r)
{
    while (read(r->fd, r->in, sizeof r->in) > 0) {
    }
    r->in_size = 0;
    r->out_at = 0;
    r->out_size = 0;
    carrier_drop(r);
}

void carrier_open(struct carrier *r, int fd, uint32_t uid, uint32_t gid)
{
    uint8_t who[8];
    struct writer w = writer_of(who, sizeof who);

    if (r->count == CARRIER_CHANNELS_MAX) {
        close(fd);
        return;
    }
    write_u32(&w, uid);
    write_u32(&w, gid);
    const struct channel *c = add(r, ++r->next_id, fd);
    send_frame(r, LINK_OPEN, c->id, who, sizeof who);
}

static void credit(struct carrier *r, const struct channel *c, size_t bytes)
{
    uint8_t number[4];
    struct writer w = writer_of(number, sizeof number);

    write_u32(&w, (uint32_t)bytes);
    send_frame(r, LINK_CREDIT, c->id, number, sizeof number);
}

/* One packet to the connection. @return 1 taken, 0 no room, -1 it is dead */
static int give(const struct channel *c, const uint8_t *bytes, size_t size)
{
    ssize_t n = send(c->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    return 1;
}

static void write_waiting(struct carrier *r, struct channel *c)
{
    while (c->first != NULL) {
        struct packet *p = c->first;
        int gave = give(c, p->bytes, p->size);
        if (gave == 0) {
            return;
        }
        if (gave < 0) {
            end_here(r, c);
            return;
        }
        credit(r, c, p->size);
        c->first = p->next;
        if (c->first == NULL) {
            c->last = &c->first;
        }
        free(p);
    }
    if (c->ended) {
        end_here(r, c);
    }
}

static void on_data(struct carrier *r, struct channel *c, const uint8_t *bytes,
                    size_t size)
{
    int gave = c->first == NULL ? give(c, bytes, size) : 0;

    if (gave > 0) {
        credit(r, c, size);
        return;
    }
    if (gave < 0) {
        end_here(r, c);
        return;
    }
    struct packet *p = malloc(sizeof *p + size);
    CHECK(p != NULL);
    p->next = NULL;
    p->size = size;
    memcpy(p->bytes, bytes, size);
    *c->last = p;
    c->last = &p->next;
}

/* What the connection says, while the other end has room. */
static void read_some(struct carrier *r, struct channel *c)
{
    static uint8_t packet[PACKET_MAX];

    while (c->window >= PACKET_MAX &&
           r->out_size - r->out_at < CARRIER_OUT_MAX) {
        ssize_t n = recv(c->fd, packet, sizeof packet, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            end_here(r, c);
            return;
        }
        c->window -= (size_t)n;
        send_frame(r, LINK_DATA, c->id, packet, (size_t)n);
    }
}

/* ---- frames that come ------------------------------------------------------
 */

static void on_open(struct carrier *r, const struct link_frame *f)
{
    if (find(r, f->channel) != NULL) {
        return;
    }
    int fd = r->count == CARRIER_CHANNELS_MAX || r->hooks.open == NULL
                 ? -1
                 : r->hooks.open(r->hooks.ctx, link_u32(f, 0), link_u32(f, 4));
    if (fd < 0) {
        send_frame(r, LINK_CLOSE, f->channel, NULL, 0);
        return;
    }
    (void)add(r, f->channel, fd);
}

static void on_close(struct carrier *r, struct channel *c)
{
    c->ended = true;
    if (c->fd < 0 || c->first == NULL) {
        end_here(r, c);
    }
}

static void on_channel(struct carrier *r, const struct link_frame *f)
{
    struct channel *c = find(r, f->channel);

    if (c == NULL) {
        return;
    }
    if (f->op == LINK_CLOSE) {
        on_close(r, c);
    } else if (f->op == LINK_CREDIT) {
        size_t more = link_u32(f, 0);
        size_t out = LINK_WINDOW - c->window;
        c->window += more < out ? more : out;
    } else if (c->fd >= 0 && f->size > 0 && f->size <= PACKET_MAX) {
        on_data(r, c, f->payload, f->size);
    }
}

static void on_frame(struct carrier *r, const struct link_frame *f)
{
    switch (f->op) {
    case LINK_OPEN:
        on_open(r, f);
        break;
    case LINK_DATA:
    case LINK_CREDIT:
    case LINK_CLOSE:
        on_channel(r, f);
        break;
    case LINK_HELLO:
    case LINK_FILE:
    case LINK_START:
    case LINK_SIGNAL:
    case LINK_READY:
    case LINK_EXIT:
    case LINK_CLOCK:
    case LINK_WALL:
        r->hooks.frame(r->hooks.ctx, f);
        break;
    case LINK_OPS:
        break;
    }
}

void carrier_call(struct carrier *r)
{
    static const uint8_t zero[LINK_HEADER_BYTES + LINK_PAYLOAD_MAX] = {0};

    put(r, zero, sizeof zero); /* ends whatever frame it is in the middle of */
    put(r, call, sizeof call);
}

void carrier_await_call(struct carrier *r)
{
    r->deaf = true;
}

/* Looks for the call. */
static void listen_for_call(struct carrier *r)
{
    const uint8_t *at = memmem(r->in, r->in_size, call, sizeof call);
    size_t drop = r->in_size;

    if (at != NULL) {
        drop = (size_t)(at - r->in) + sizeof call;
        r->deaf = false;
        r->out_at = 0;
        r->out_size = 0;
        carrier_drop(r);
        r->hooks.anew(r->hooks.ctx);
    } else if (r->in_size >= sizeof call) {
        drop = r->in_size - sizeof call + 1; /* perhaps its beginning */
    } else {
        return;
    }
    memmove(r->in, r->in + drop, r->in_size - drop);
    r->in_size -= drop;
}

/* @return false: nonsense */
static bool take_frames(struct carrier *r)
{
    struct link_frame f;
    size_t at = 0;
    ssize_t took;

    while ((took = link_parse(r->in + at, r->in_size - at, &f)) > 0) {
        on_frame(r, &f);
        at += (size_t)took;
    }
    memmove(r->in, r->in + at, r->in_size - at);
    r->in_size -= at;
    return took == 0;
}

static bool read_link(struct carrier *r)
{
    ssize_t n = read(r->fd, r->in + r->in_size, sizeof r->in - r->in_size);

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    if (n == 0) {
        return false;
    }
    r->in_size += (size_t)n;
    if (!r->deaf && !take_frames(r)) {
        if (r->hooks.anew == NULL) {
            return false;
        }
        r->deaf = true;
    }
    if (r->deaf) {
        listen_for_call(r);
    }
    return r->deaf || take_frames(r) || r->hooks.anew != NULL;
}

/* ---- the loop --------------------------------------------------------------
 */

size_t carrier_fds(struct carrier *r, struct pollfd *fds)
{
    const bool full = r->out_size - r->out_at >= CARRIER_OUT_MAX;
    size_t n = 0;

    fds[n++] = (struct pollfd){
        .fd = r->fd,
        .events = (short)(POLLIN | (r->out_at < r->out_size ? POLLOUT : 0))};
    for (size_t i = 0; i < r->count; i++) {
        struct channel *c = r->channels[i];
        int events = c->first != NULL ? POLLOUT : 0;
        if (!c->ended && c->window >= PACKET_MAX && !full) {
            events |= POLLIN;
        }
        c->slot = SIZE_MAX;
        if (c->fd >= 0 && events != 0) {
            c->slot = n;
            fds[n++] = (struct pollfd){.fd = c->fd, .events = (short)events};
        }
    }
    return n;
}

bool carrier_work(struct carrier *r, const struct pollfd *fds, size_t n)
{
    const size_t count = r->count; /* those that poll() was asked about */

    for (size_t i = 0; i < count; i++) {
        struct channel *c = r->channels[i];
        int found = c->slot < n ? fds[c->slot].revents : 0;
        if (c->fd >= 0 && (found & POLLOUT) != 0) {
            write_waiting(r, c);
        }
        if (c->fd >= 0 && !c->ended &&
            (found & (POLLIN | POLLHUP | POLLERR)) != 0) {
            read_some(r, c);
        }
    }
    bool ok =
        (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0 || read_link(r);
    sweep(r);
    return write_link(r) && ok;
}

struct carrier *carrier_create(int fd, const struct carrier_hooks *hooks)
{
    struct carrier *r = calloc(1, sizeof *r);

    CHECK(r != NULL);
    r->hooks = *hooks;
    r->fd = fd;
    no_wait(fd);
    return r;
}

void carrier_destroy(struct carrier *r)
{
    if (r == NULL) {
        return;
    }
    carrier_drop(r);
    close(r->fd);
    free(r->out);
    free(r);
}
