#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/qemu/cpio.h"

TestSuite(guest_cpio, .timeout = 10);

/* A number of eight hex digits. */
static unsigned long field(const char *header, int at)
{
    char text[9] = "";

    memcpy(text, header + 6 + at * 8, 8);
    return strtoul(text, NULL, 16);
}

enum { INODE = 0, MODE = 1, SIZE = 6, MAJOR = 9, MINOR = 10, NAME = 11 };

static size_t aligned(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

Test(guest_cpio, is_read_back_as_the_kernel_does)
{
    const struct {
        const char *name;
        unsigned long mode;
        const char *bytes;
    } entries[] = {{"dev", 040755, ""},
                   {"dev/console", 020600, ""},
                   {"init", 0100755, "seven!!"},
                   {"TRAILER!!!", 0, ""}};
    char *text = NULL;
    size_t size = 0;
    struct cpio c = {.file = open_memstream(&text, &size)};

    cr_assert(cpio_folder(&c, "dev"));
    cr_assert(cpio_device(&c, "dev/console", 5, 1));
    cr_assert(cpio_bytes(&c, "init", 0755, "seven!!", 7));
    cr_assert(cpio_end(&c));
    fclose(c.file);
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        const char *header = text + at;
        const size_t bytes = strlen(entries[i].bytes);
        cr_assert_eq(memcmp(header, "070701", 6), 0);
        cr_assert_str_eq(header + 110, entries[i].name);
        cr_assert_eq(field(header, NAME), strlen(entries[i].name) + 1);
        cr_assert_eq(field(header, MODE), entries[i].mode);
        cr_assert_eq(field(header, SIZE), bytes);
        cr_assert_eq(field(header, INODE), i + 1);
        at = aligned(at + 110 + strlen(entries[i].name) + 1);
        cr_assert_eq(memcmp(text + at, entries[i].bytes, bytes), 0);
        at = aligned(at + bytes);
        if (i == 1) {
            cr_assert_eq(field(header, MAJOR), 5);
            cr_assert_eq(field(header, MINOR), 1);
        }
    }
    cr_assert_eq(at, size);
    free(text);
}

Test(guest_cpio, a_full_disk_is_told)
{
    struct cpio c = {.file = fopen("/dev/full", "w")};
    static char bytes[100000];

    cr_assert_not_null(c.file);
    const bool ok = cpio_bytes(&c, "x", 0644, bytes, sizeof bytes);
    cr_assert(!ok || !cpio_end(&c));
    fclose(c.file);
}
