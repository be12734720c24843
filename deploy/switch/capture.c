#include <errno.h>
#include <string.h>
#include <time.h>

#include "inside.h"

/* pcapng (draft-ietf-opsawg-pcapng): a section, an interface for each port that
 * was seen, frames. Of all ports: each frame once, as it was sent, with a word
 * on who lost it. Of one port: what it sent and what it got. */

enum {
    SECTION = 0x0a0d0d0a,
    INTERFACE = 1,
    PACKET = 6,
    MAGIC = 0x1a2b3c4d,
    ETHERNET = 1,
    OPT_COMMENT = 1,
    OPT_NAME = 2,  /* of an interface */
    OPT_FLAGS = 2, /* of a packet */
    OPT_RESOLUTION = 9,
    INBOUND = 1,
    OUTBOUND = 2,
    BLOCK_BYTES = FRAME_MAX + 2048,
};

/* A block in the making. */
struct block {
    size_t size;
    uint8_t bytes[BLOCK_BYTES];
};

static void put(struct block *b, const void *bytes, size_t size)
{
    CHECK(b->size + size + 3 < sizeof b->bytes);
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
    for (; b->size % 4 != 0; b->size++) {
        b->bytes[b->size] = 0;
    }
}

static void put32(struct block *b, uint32_t v)
{
    put(b, &v, sizeof v);
}

static void put_option(struct block *b, unsigned code, const void *bytes,
                       size_t size)
{
    put32(b, (uint32_t)code | (uint32_t)size << 16);
    put(b, bytes, size);
}

static void begin(struct block *b, uint32_t type)
{
    b->size = 0;
    put32(b, type);
    put32(b, 0); /* the size, when it is known */
}

static void end(struct net *n, struct block *b)
{
    put32(b, 0); /* end of options */
    const uint32_t size = (uint32_t)b->size + 4;
    put32(b, size);
    memcpy(b->bytes + 4, &size, sizeof size);
    if (fwrite(b->bytes, b->size, 1, n->capture.file) != 1) {
        capture_close(n); /* a full disk ends the capture, not the network */
    }
}

static void put_interface(struct net *n, struct block *b, const char *name)
{
    const uint8_t nanoseconds = 9;

    begin(b, INTERFACE);
    put32(b, ETHERNET);
    put32(b, 0); /* frames are not cut */
    put_option(b, OPT_NAME, name, strlen(name));
    put_option(b, OPT_RESOLUTION, &nanoseconds, 1);
    end(n, b);
}

static struct block block;

/* An interface for each place of a port, whether or not one is there: so that a
 * port that comes later has its number. */
bool capture_open(struct net *n, const char *file, uint32_t port, char *why)
{
    FILE *f = fopen(file, "we");

    if (f == NULL) {
        snprintf(why, WHY_MAX, "%.150s: %s", file, strerror(errno));
        return false;
    }
    capture_close(n);
    n->capture = (struct capture){.file = f, .port = port};
    begin(&block, SECTION);
    put32(&block, MAGIC);
    put32(&block, 1); /* version 1.0 */
    put32(&block, UINT32_MAX);
    put32(&block, UINT32_MAX); /* length of the section: not known */
    end(n, &block);
    for (uint32_t i = 0; i < PORTS_MAX && n->capture.file != NULL; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "port%u", i + 1);
        put_interface(n, &block,
                      n->ports[i].name[0] != '\0' ? n->ports[i].name : name);
    }
    return true;
}

void capture_close(struct net *n)
{
    if (n->capture.file != NULL) {
        (void)fclose(n->capture.file);
        n->capture.file = NULL;
    }
}

static void put_frame(struct port *p, const uint8_t *bytes, size_t size,
                      uint32_t flags, const char *comment)
{
    struct net *n = p->net;
    struct timespec t;

    CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0);
    const uint64_t at = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    begin(&block, PACKET);
    put32(&block, p->index);
    put32(&block, (uint32_t)(at >> 32));
    put32(&block, (uint32_t)at);
    put32(&block, (uint32_t)size);
    put32(&block, (uint32_t)size);
    put(&block, bytes, size);
    put_option(&block, OPT_FLAGS, &flags, sizeof flags);
    if (comment[0] != '\0') {
        put_option(&block, OPT_COMMENT, comment, strlen(comment));
    }
    end(n, &block);
    if (n->capture.file != NULL) {
        (void)fflush(n->capture.file);
    }
}

void capture_sent(struct port *from, const uint8_t *bytes, size_t size,
                  const char *comment)
{
    const struct capture *c = &from->net->capture;

    if (c->file != NULL && (c->port == PORTS_MAX || c->port == from->index)) {
        put_frame(from, bytes, size, INBOUND, comment);
    }
}

void capture_got(struct port *to, const uint8_t *bytes, size_t size)
{
    const struct capture *c = &to->net->capture;

    if (c->file != NULL && c->port == to->index) {
        put_frame(to, bytes, size, OUTBOUND, "");
    }
}
