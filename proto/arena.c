#include "arena.h"

#include <string.h>

#include "nucleus/base/ui.h"

static void *arena_alloc(void *data, size_t size)
{
    struct wire_arena *a = data;
    const size_t align = alignof(max_align_t);
    const size_t left = WIRE_ARENA_BYTES - a->used_bytes;

    if (a->used_blocks == WIRE_ARENA_BLOCKS || size > left) {
        return NULL;
    }
    void *p = a->bytes + a->used_bytes;
    const size_t pad = (align - size % align) % align;
    a->used_bytes += size + (pad <= left - size ? pad : left - size);
    a->used_blocks++;
    return p;
}

/* All is released at once, when the arena is emptied. */
static void arena_release(void *data, void *p)
{
    (void)data;
    (void)p;
}

struct wire_arena *wire_arena_new(struct mem *mem)
{
    struct wire_arena *a = mem_alloc(mem, sizeof *a);
    if (a == NULL) {
        return NULL;
    }
    a->mem = mem;
    a->allocator = (ProtobufCAllocator){arena_alloc, arena_release, a};
    return a;
}

void wire_arena_free(struct wire_arena *a)
{
    if (a != NULL) {
        mem_free(a->mem, a, sizeof *a);
    }
}

ProtobufCMessage *arena_unpack(struct wire_arena *a,
                               const ProtobufCMessageDescriptor *type,
                               const uint8_t *data, size_t size)
{
    a->used_bytes = 0;
    a->used_blocks = 0;
    return protobuf_c_message_unpack(type, &a->allocator, size, data);
}

void pb_pack(const ProtobufCMessage *msg, struct writer *w)
{
    const size_t size = protobuf_c_message_get_packed_size(msg);

    /* protobuf_c_message_pack() looks at no bounds. */
    uint8_t *room = size == 0 ? NULL : write_room(w, size);
    if (room != NULL) {
        const size_t packed = protobuf_c_message_pack(msg, room);
        CHECK(packed == size);
    }
}

void pb_put_text(const char *text, protobuf_c_boolean *has,
                 ProtobufCBinaryData *field)
{
    /* Packing only reads it, although protobuf-c knows no const. */
    memcpy(&field->data, &text, sizeof text);
    field->len = strlen(text);
    *has = field->len != 0;
}

bool pb_take_text(const ProtobufCBinaryData *text, char *out, size_t size)
{
    if (text->len >= size) {
        return false;
    }
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] < ' ' || text->data[i] > '~') {
            return false;
        }
        out[i] = (char)text->data[i];
    }
    memset(out + text->len, 0, size - text->len);
    return true;
}

bool pb_take_name(const ProtobufCBinaryData *text, char *out, size_t size)
{
    return pb_take_text(text, out, size) && ui_name_ok(out);
}

bool pb_take_address(const ProtobufCBinaryData *text, char *out, size_t size)
{
    if (!pb_take_text(text, out, size)) {
        return false;
    }
    for (const char *c = out; *c != '\0'; c++) {
        if (*c == ' ') {
            return false;
        }
    }
    return true;
}
