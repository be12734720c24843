#include "link.h"

#include <string.h>

#include "nucleus/base/cursor.h"

void link_header(uint8_t to[LINK_HEADER_BYTES], enum link_op op,
                 uint32_t channel, size_t size)
{
    struct writer w = writer_of(to, LINK_HEADER_BYTES);

    write_u32(&w, (uint32_t)size);
    write_u32(&w, channel);
    write_u8(&w, (uint8_t)op);
    write_u8(&w, 0);
    write_u16(&w, 0);
    CHECK(writer_ok(&w));
}

ssize_t link_parse(const uint8_t *bytes, size_t size, struct link_frame *f)
{
    struct reader r = reader_of(bytes, size);
    uint32_t length = read_u32(&r);

    f->channel = read_u32(&r);
    uint8_t op = read_u8(&r);
    uint8_t zero = read_u8(&r);
    uint16_t zeros = read_u16(&r);
    if (!reader_ok(&r)) {
        return 0;
    }
    if (length > LINK_PAYLOAD_MAX || op == 0 || op >= LINK_OPS || zero != 0 ||
        zeros != 0) {
        return -1;
    }
    f->op = (enum link_op)op;
    f->size = length;
    f->payload = read_span(&r, length);
    return f->payload == NULL ? 0 : (ssize_t)(LINK_HEADER_BYTES + length);
}

size_t link_file_pack(const struct link_file *file, uint8_t *to, size_t room)
{
    size_t length = strlen(file->path);
    struct writer w = writer_of(to, room);

    write_u32(&w, file->mode);
    write_u16(&w, (uint16_t)length);
    write_span(&w, file->path, length);
    write_span(&w, file->bytes, file->size);
    return writer_ok(&w) ? w.at : 0;
}

bool link_file_parse(const struct link_frame *f, struct link_file *file)
{
    struct reader r = reader_of(f->payload, f->size);

    file->mode = read_u32(&r);
    uint16_t length = read_u16(&r);
    const uint8_t *path = read_span(&r, length);
    if (!reader_ok(&r) || path == NULL || length == 0 ||
        length >= sizeof file->path || path[0] != '/' ||
        memchr(path, '\0', length) != NULL) {
        return false;
    }
    memcpy(file->path, path, length);
    file->path[length] = '\0';
    file->bytes = f->payload + r.at;
    file->size = f->size - r.at;
    return strstr(file->path, "/../") == NULL;
}

uint32_t link_u32(const struct link_frame *f, size_t at)
{
    struct reader r = reader_of(f->payload, f->size);

    return read_span(&r, at) == NULL ? 0 : read_u32(&r);
}

uint64_t link_u64(const struct link_frame *f, size_t at)
{
    struct reader r = reader_of(f->payload, f->size);

    return read_span(&r, at) == NULL ? 0 : read_u64(&r);
}

void link_put_u64s(uint8_t to[16], uint64_t first, uint64_t second)
{
    struct writer w = writer_of(to, 16);

    write_u64(&w, first);
    write_u64(&w, second);
    CHECK(writer_ok(&w));
}
