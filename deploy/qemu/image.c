#include "image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cpio.h"
#include "guest.h"

enum {
    FORMAT = 1,              /* of the image; rises when it changes */
    KEY_BYTES = 8,           /* of the digest, in the name */
    KEEP_S = 14 * 24 * 3600, /* images not used for so long go */
    MODULE_PATH_MAX = 512,
};

struct part {
    unsigned char *bytes;
    size_t size;
};

struct content {
    struct part motetd;
    struct part init;
    const char *const *paths; /* of the files */
    struct part *files;
    size_t file_count;
};

static bool fail(char *why, const char *what, const char *path)
{
    snprintf(why, KERNEL_WHY_MAX,
             "%s %.300s: %s\nsee that there is room, or set XDG_CACHE_HOME to "
             "another folder",
             what, path, strerror(errno));
    return false;
}

static bool load(const char *path, struct part *p, char *why)
{
    p->bytes = kernel_load(path, &p->size);
    return p->bytes != NULL || fail(why, "cannot read", path);
}

static bool load_files(const struct image_parts *parts, struct content *c,
                       char *why)
{
    c->paths = parts->files;
    c->files = calloc(parts->file_count + 1, sizeof *c->files);
    CHECK(c->files != NULL);
    for (size_t i = 0; i < parts->file_count; i++) {
        if (!load(parts->files[i], &c->files[i], why)) {
            return false;
        }
        c->file_count++;
    }
    return true;
}

/* ---- its name --------------------------------------------------------------
 */

static bool digest_of(const struct content *c, const struct kernel *k,
                      char hex[2 * KEY_BYTES + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    const uint64_t numbers[] = {FORMAT, c->motetd.size, c->init.size,
                                c->file_count};
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(md, numbers, sizeof numbers) == 1 &&
              EVP_DigestUpdate(md, c->motetd.bytes, c->motetd.size) == 1 &&
              EVP_DigestUpdate(md, c->init.bytes, c->init.size) == 1 &&
              EVP_DigestUpdate(md, k->version, strlen(k->version)) == 1;
    for (size_t i = 0; ok && i < c->file_count; i++) {
        const struct part *p = &c->files[i];
        ok = EVP_DigestUpdate(md, &p->size, sizeof p->size) == 1 &&
             EVP_DigestUpdate(md, c->paths[i], strlen(c->paths[i]) + 1) == 1 &&
             EVP_DigestUpdate(md, p->bytes, p->size) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(md, digest, NULL) == 1;
    EVP_MD_CTX_free(md);
    for (size_t i = 0; ok && i < KEY_BYTES; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    return ok;
}

/* ---- its content -----------------------------------------------------------
 */

static bool put_modules(struct cpio *c, const struct kernel *k)
{
    static const char *const names[] = {"virtio_pci", "virtio_net",
                                        "virtio_console"};
    struct kernel_modules m;
    char list[KERNEL_MODULES_MAX * MODULE_PATH_MAX] = "";
    size_t used = 0;
    bool ok = cpio_folder(c, "lib") && cpio_folder(c, "lib/modules");

    kernel_modules(k, names, ARRAY_LEN(names), &m);
    for (size_t i = 0; ok && i < m.count; i++) {
        char name[MODULE_PATH_MAX];
        size_t size;
        snprintf(name, sizeof name, "lib/modules/%zu.ko", i);
        unsigned char *bytes = kernel_load(m.paths[i], &size);
        ok = bytes != NULL && cpio_bytes(c, name, 0644, bytes, size);
        free(bytes);
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "/%s\n", name);
    }
    kernel_modules_free(&m);
    return ok && cpio_bytes(c, &GUEST_MODULES[1], 0644, list, used);
}

/* The folders of a path; those that are there already do no harm. */
static bool put_folders(struct cpio *a, const char *path)
{
    char name[KERNEL_PATH_MAX];

    for (const char *p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/')) {
        snprintf(name, sizeof name, "%.*s", (int)(p - path), path);
        if (!cpio_folder(a, name)) {
            return false;
        }
    }
    return true;
}

static bool put_files(struct cpio *a, const struct content *c)
{
    for (size_t i = 0; i < c->file_count; i++) {
        const char *name = c->paths[i] + 1;
        if (!put_folders(a, name) ||
            !cpio_bytes(a, name, 0755, c->files[i].bytes, c->files[i].size)) {
            return false;
        }
    }
    return true;
}

static bool put_all(FILE *f, const struct content *c, const struct kernel *k)
{
    struct cpio a = {.file = f};

    return cpio_folder(&a, "dev") && cpio_device(&a, "dev/console", 5, 1) &&
           cpio_folder(&a, "bin") &&
           cpio_bytes(&a, "init", 0755, c->init.bytes, c->init.size) &&
           cpio_bytes(&a, &GUEST_MOTETD[1], 0755, c->motetd.bytes,
                      c->motetd.size) &&
           put_modules(&a, k) && put_files(&a, c) && cpio_end(&a);
}

static bool write_image(const struct content *c, const struct image *image,
                        char *why)
{
    char fresh[KERNEL_PATH_MAX];

    if (snprintf(fresh, sizeof fresh, "%s.%ld", image->path, (long)getpid()) >=
        (int)sizeof fresh) {
        errno = ENAMETOOLONG;
        return fail(why, "cannot write", image->path);
    }
    FILE *f = fopen(fresh, "we");
    if (f == NULL) {
        return fail(why, "cannot write", fresh);
    }
    bool ok = put_all(f, c, &image->kernel);
    ok = fclose(f) == 0 && ok;
    if (!ok || rename(fresh, image->path) != 0) {
        (void)unlink(fresh);
        return fail(why, "cannot write", image->path);
    }
    return true;
}

/* ---- the cache -------------------------------------------------------------
 */

/* Each build of motetd makes an image of its own: old ones go. */
static void prune(const char *cache)
{
    char path[KERNEL_PATH_MAX];
    const struct dirent *entry;
    struct stat st;
    DIR *dir = opendir(cache);

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "image-", 6) == 0 &&
            snprintf(path, sizeof path, "%.3000s/%s", cache, entry->d_name) >
                0 &&
            stat(path, &st) == 0 && st.st_mtime < time(NULL) - KEEP_S) {
            (void)unlink(path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static bool finish(const struct content *c, struct image *image,
                   const char *cache, char *why)
{
    char hex[2 * KEY_BYTES + 1];
    struct stat st;

    if (!digest_of(c, &image->kernel, hex) ||
        snprintf(image->path, sizeof image->path, "%s/image-%s.cpio", cache,
                 hex) >= (int)sizeof image->path) {
        errno = ENAMETOOLONG;
        return fail(why, "cannot name an image in", cache);
    }
    image->cached = access(image->path, R_OK) == 0;
    if (image->cached) {
        (void)utimensat(AT_FDCWD, image->path, NULL, 0); /* it is in use */
    } else {
        prune(cache);
        if (!write_image(c, image, why)) {
            return false;
        }
    }
    image->bytes = stat(image->path, &st) == 0 ? (size_t)st.st_size : 0;
    return true;
}

bool image_make(const struct image_parts *parts, struct image *image, char *why)
{
    struct content c = {0};

    *image = (struct image){0};
    bool ok = kernel_find(parts->cache, &image->kernel, why) &&
              load(parts->motetd, &c.motetd, why) &&
              load(parts->init, &c.init, why) && load_files(parts, &c, why) &&
              finish(&c, image, parts->cache, why);
    free(c.motetd.bytes);
    free(c.init.bytes);
    for (size_t i = 0; i < c.file_count; i++) {
        free(c.files[i].bytes);
    }
    free(c.files);
    return ok;
}
