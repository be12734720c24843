#include <criterion/criterion.h>
#include <string.h>

#include "nucleus/base/cursor.h"

TestSuite(cursor, .timeout = 5);

static const uint8_t bytes[16] = {1, 2,  3,  4,  5,  6,  7,  8,
                                  9, 10, 11, 12, 13, 14, 15, 16};

static uint64_t read_any(struct reader *r, size_t size)
{
    switch (size) {
    case 1:
        return read_u8(r);
    case 2:
        return read_u16(r);
    case 4:
        return read_u32(r);
    default:
        return read_u64(r);
    }
}

Test(cursor, a_read_one_byte_short_fails_and_gives_zero)
{
    for (size_t size = 1; size <= 8; size *= 2) {
        struct reader r = reader_of(bytes, size - 1);
        cr_assert_eq(read_any(&r, size), 0);
        cr_assert_not(reader_ok(&r));
        cr_assert_not(reader_done(&r));
        r = reader_of(bytes, size);
        cr_assert_neq(read_any(&r, size), 0);
        cr_assert(reader_ok(&r) && reader_done(&r));
    }
}

Test(cursor, once_failed_always_failed)
{
    struct reader r = reader_of(bytes, 4);
    (void)read_u64(&r);
    cr_assert_eq(read_u8(&r), 0, "though one byte is there");
    cr_assert_null(read_span(&r, 0));
    cr_assert_eq(reader_left(&r), 0, "a loop over the rest ends");
    cr_assert_not(reader_ok(&r));
}

Test(cursor, a_span_is_in_place_and_bounded)
{
    struct reader r = reader_of(bytes, 16);
    (void)read_u8(&r);
    cr_assert_eq(read_span(&r, 4), bytes + 1);
    cr_assert_eq(reader_left(&r), 11);
    cr_assert_eq(read_span(&r, 0), bytes + 5, "nothing is something");
    struct reader copy = r;
    cr_assert_null(read_span(&copy, 12), "one past");
    copy = r;
    cr_assert_null(read_span(&copy, SIZE_MAX), "no overflow");
    cr_assert_eq(read_span(&r, 11), bytes + 5);
    cr_assert(reader_done(&r));
}

Test(cursor, nothing_to_read)
{
    struct reader r = reader_of(NULL, 0);
    cr_assert(reader_done(&r));
    cr_assert_not_null(read_span(&r, 0));
    cr_assert_eq(read_u8(&r), 0);
    cr_assert_not(reader_ok(&r));
}

Test(cursor, left_over_bytes_are_not_done)
{
    struct reader r = reader_of(bytes, 3);
    cr_assert_eq(read_u16(&r), 0x0201);
    cr_assert(reader_ok(&r));
    cr_assert_not(reader_done(&r));
}

Test(cursor, little_endian)
{
    struct reader r = reader_of(bytes, 15);
    cr_assert_eq(read_u8(&r), 0x01);
    cr_assert_eq(read_u16(&r), 0x0302);
    cr_assert_eq(read_u32(&r), 0x07060504);
    cr_assert_eq(read_u64(&r), 0x0f0e0d0c0b0a0908);
    cr_assert(reader_done(&r));

    uint8_t out[15];
    struct writer w = writer_of(out, sizeof out);
    write_u8(&w, 0x01);
    write_u16(&w, 0x0302);
    write_u32(&w, 0x07060504);
    write_u64(&w, 0x0f0e0d0c0b0a0908);
    cr_assert(writer_ok(&w));
    cr_assert_eq(w.at, 15);
    cr_assert_eq(memcmp(out, bytes, 15), 0);
}

static void write_any(struct writer *w, size_t size)
{
    switch (size) {
    case 1:
        write_u8(w, 0xff);
        break;
    case 2:
        write_u16(w, 0xffff);
        break;
    case 4:
        write_u32(w, 0xffffffff);
        break;
    case 8:
        write_u64(w, UINT64_MAX);
        break;
    default:
        write_span(w, bytes, size);
        break;
    }
}

Test(cursor, a_write_one_byte_short_fails_and_writes_nothing)
{
    static const size_t sizes[] = {1, 2, 4, 8, 16};
    for (size_t i = 0; i < 5; i++) {
        uint8_t out[16] = {0};
        struct writer w = writer_of(out, sizes[i] - 1);
        write_any(&w, sizes[i]);
        cr_assert_not(writer_ok(&w));
        write_u8(&w, 1);
        write_span(&w, bytes, 0);
        cr_assert_not(writer_ok(&w), "once failed, always failed");
        cr_assert_eq(w.at, 0);
        for (size_t j = 0; j < 16; j++) {
            cr_assert_eq(out[j], 0);
        }
        w = writer_of(out, sizes[i]);
        write_any(&w, sizes[i]);
        cr_assert(writer_ok(&w));
        cr_assert_eq(w.at, sizes[i]);
    }
}

Test(cursor, nothing_to_write)
{
    struct writer w = writer_of(NULL, 0);
    write_span(&w, NULL, 0);
    cr_assert(writer_ok(&w));
    write_span(&w, bytes, SIZE_MAX);
    cr_assert_not(writer_ok(&w), "no overflow");
}
