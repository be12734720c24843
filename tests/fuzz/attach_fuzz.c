#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/check.h"
#include "proto/attach.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The frame that was read, written again, is what was read. */
static void write_again(const struct attach_frame *f, const uint8_t *read,
                        size_t size)
{
    static uint8_t fields[ATTACH_FIELDS_MAX];
    static uint8_t bytes[ATTACH_HEADER_BYTES + ATTACH_FIELDS_MAX];
    struct attach_member members[ATTACH_MEMBERS_MAX];
    struct attach_frame g = *f;
    for (uint32_t i = 0; i < f->member_count; i++) {
        members[i] = attach_member(f, i);
    }
    g.members = members;
    const size_t field_bytes = attach_fields(&g, fields);
    CHECK(field_bytes + f->chunk_bytes + ATTACH_HEADER_BYTES == size);

    struct writer w = writer_of(bytes, sizeof bytes);
    struct attach_parcel p = {.op = f->op,
                              .id = f->id,
                              .fields = fields,
                              .field_bytes = (uint32_t)field_bytes,
                              .total = f->total};
    uint32_t chunk;
    CHECK(attach_cut(&p, &w, size, &chunk));
    CHECK(chunk == f->chunk_bytes);
    CHECK(memcmp(bytes, read, w.at) == 0);
}

/* A packet as either end may get it: the first byte says from whom. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const enum attach_end from = data[0] % 2 == 0 ? ATTACH_CLIENT : ATTACH_SITE;
    struct reader r = reader_of(data + 1, size - 1);
    struct attach_gather gather = {0};
    struct attach_frame f;
    size_t begun = 0;
    while (reader_left(&r) > 0 && attach_decode(&r, from, &f)) {
        const uint8_t *start = data + 1 + begun;
        uint32_t at = 0;
        CHECK(strcmp(attach_op_name(f.op), "?") != 0);
        CHECK(strnlen(f.name, sizeof f.name) < sizeof f.name);
        if ((f.flags & ATTACH_CONT) == 0) {
            write_again(&f, start, r.at - begun);
        }
        begun = r.at;
        const enum attach_gathered g = attach_gather(&gather, &f, &at);
        if (g == ATTACH_BAD) {
            break;
        }
        CHECK(g == ATTACH_PART || gather.op == 0);
        CHECK(g != ATTACH_PART || gather.got < gather.total);
    }
    return 0;
}
