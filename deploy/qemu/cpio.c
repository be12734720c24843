#include "cpio.h"

#include <string.h>
#include <sys/stat.h>

enum { ALIGN = 4 };

static bool pad(struct cpio *c, size_t size)
{
    static const char zero[ALIGN] = {0};
    size_t n = (ALIGN - size % ALIGN) % ALIGN;

    return n == 0 || fwrite(zero, 1, n, c->file) == n;
}

struct entry {
    const char *name;
    uint32_t mode;
    const void *bytes;
    size_t size;
    uint32_t major;
    uint32_t minor;
};

static bool put(struct cpio *c, const struct entry *e)
{
    enum { HEADER_BYTES = 110 };
    const size_t name = strlen(e->name) + 1;
    const uint32_t links = S_ISDIR(e->mode) ? 2 : 1;

    /* inode mode uid gid nlink mtime filesize devmajor devminor rdevmajor
     * rdevminor namesize check */
    int n = fprintf(c->file,
                    "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx"
                    "%08x",
                    ++c->inode, e->mode, 0U, 0U, links, 1U, e->size, 0U, 0U,
                    e->major, e->minor, name, 0U);
    return n == HEADER_BYTES && fwrite(e->name, 1, name, c->file) == name &&
           pad(c, HEADER_BYTES + name) &&
           (e->size == 0 || fwrite(e->bytes, 1, e->size, c->file) == e->size) &&
           pad(c, e->size);
}

bool cpio_folder(struct cpio *c, const char *name)
{
    return put(c, &(struct entry){.name = name, .mode = S_IFDIR | 0755});
}

bool cpio_bytes(struct cpio *c, const char *name, uint32_t mode,
                const void *bytes, size_t size)
{
    return size <= UINT32_MAX && put(c, &(struct entry){.name = name,
                                                        .mode = S_IFREG | mode,
                                                        .bytes = bytes,
                                                        .size = size});
}

bool cpio_device(struct cpio *c, const char *name, uint32_t major,
                 uint32_t minor)
{
    return put(c, &(struct entry){.name = name,
                                  .mode = S_IFCHR | 0600,
                                  .major = major,
                                  .minor = minor});
}

bool cpio_end(struct cpio *c)
{
    return put(c, &(struct entry){.name = "TRAILER!!!"}) &&
           fflush(c->file) == 0;
}
