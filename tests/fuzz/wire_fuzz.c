#include <string.h>

#include "nucleus/base/ui.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever bytes come: no CHECK fires, nothing is read outside them, and what
 * was taken is encoded and taken again as the same. The first byte says as what
 * the others are read: 0 and 1 as frames of a stranger and of a known peer, 2
 * as contents of a CTL frame. */

static struct wire_arena *new_arena(void)
{
    static struct mem mem;
    if (mem.cap_bytes == 0) {
        mem_init(&mem, 4 << 20);
    }
    struct wire_arena *a = wire_arena_new(&mem);
    CHECK(a != NULL);
    return a;
}

/* The bytes of a frame after one more turn; `first` is in its own arena. */
static void same_again(const struct net_frame *first, struct wire_arena *a)
{
    static uint8_t once[WIRE_FRAME_MAX], twice[WIRE_FRAME_MAX];
    struct writer w = writer_of(once, sizeof once);
    struct writer w2 = writer_of(twice, sizeof twice);
    struct net_frame f;
    size_t used = 0;

    wire_encode(first, &w);
    CHECK(writer_ok(&w));
    CHECK(w.at == wire_size(first));
    CHECK(wire_decode(a, once, w.at, true, &f, &used) == WIRE_FRAME);
    CHECK(used == w.at);
    wire_encode(&f, &w2);
    CHECK(writer_ok(&w2));
    CHECK(w2.at == w.at);
    CHECK(memcmp(once, twice, w.at) == 0);
}

static void check_frame(const struct net_frame *f)
{
    CHECK(f->kind >= NET_HELLO && f->kind < NET_FRAME_COUNT);
    if (f->kind == NET_DATA) {
        const struct net_data *d = &f->u.data;
        CHECK(d->size <= NET_FRAGMENT_BYTES);
        CHECK((uint64_t)d->offset + d->size <= d->total);
        CHECK(d->msg.annex_bytes <= MOTET_ANNEX_MAX);
        CHECK(d->msg.annex_bytes <= d->total);
    }
    if (f->kind == NET_HELLO) {
        CHECK(ui_name_ok(f->u.hello->name));
        CHECK(ui_name_ok(f->u.hello->cluster));
        CHECK(strlen(f->u.hello->address) <= NET_ADDR_MAX);
    }
}

static void play_frames(struct wire_arena *a, struct wire_arena *b, bool known,
                        const uint8_t *data, size_t size)
{
    struct net_frame f;
    size_t used = 0;

    while (wire_decode(a, data, size, known, &f, &used) == WIRE_FRAME) {
        CHECK(used >= WIRE_PREFIX_BYTES && used <= size);
        CHECK(known || used <= WIRE_HELLO_MAX);
        check_frame(&f);
        same_again(&f, b);
        data += used;
        size -= used;
    }
}

static void check_dir(const struct dir_msg *m)
{
    CHECK(m->record_count <= DIR_RECORDS_MAX);
    CHECK(m->digest_count <= DIR_DIGEST_MAX);
    for (uint32_t i = 0; i < m->record_count; i++) {
        const struct record *r = &m->records[i];
        CHECK(ui_kind(r->group) != UI_STATIC_GROUP || !r->present ||
              ui_equal(r->group, ui_of_name(r->name)));
    }
}

static size_t encode_ctl(const struct wire_ctl *c, uint8_t *out, size_t size)
{
    struct writer w = writer_of(out, size);

    if (c->kind == WIRE_CTL_MEMBER) {
        CHECK(c->member->update_count <= MEMBER_UPDATES_MAX);
        wire_encode_member(c->member, &w);
    } else {
        check_dir(c->dir);
        wire_encode_dir(c->dir, &w);
    }
    CHECK(writer_ok(&w));
    return w.at;
}

static void play_ctl(struct wire_arena *a, struct wire_arena *b,
                     const uint8_t *data, size_t size)
{
    static uint8_t once[NET_CTL_BYTES_MAX], twice[NET_CTL_BYTES_MAX];
    struct wire_ctl c;

    if (!wire_decode_ctl(a, data, size, &c)) {
        return;
    }
    const size_t first = encode_ctl(&c, once, sizeof once);
    CHECK(wire_decode_ctl(b, once, first, &c));
    const size_t second = encode_ctl(&c, twice, sizeof twice);
    CHECK(first == second);
    CHECK(memcmp(once, twice, first) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_arena *a, *b;

    if (a == NULL) {
        a = new_arena();
        b = new_arena();
    }
    if (size == 0) {
        return 0;
    }
    if (data[0] == 2) {
        play_ctl(a, b, data + 1, size - 1);
    } else {
        play_frames(a, b, data[0] != 0, data + 1, size - 1);
    }
    return 0;
}
