#include "kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spawn.h"

enum {
    APT_MS = 300000, /* a slow line, 27 MB */
    UNPACK_MS = 60000,
    LIST_BYTES = 65536,
};

/* ---- where it is -----------------------------------------------------------
 */

static bool exists(const char *path)
{
    return access(path, R_OK) == 0;
}

static bool join(char *to, const char *a, const char *b)
{
    int n = snprintf(to, KERNEL_PATH_MAX, "%s%s", a, b);

    return n > 0 && n < KERNEL_PATH_MAX;
}

/* The newest boot/vmlinuz-VERSION below a root whose modules are there. */
static bool newest(const char *root, const char *part, struct kernel *k)
{
    static const char prefix[] = "vmlinuz-";
    char boot[KERNEL_PATH_MAX];
    char modules[KERNEL_PATH_MAX];
    const struct dirent *entry;

    k->version[0] = '\0';
    DIR *dir = join(boot, root, "/boot") ? opendir(boot) : NULL;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        const char *version = entry->d_name + sizeof prefix - 1;
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0 ||
            strstr(version, part) == NULL ||
            strlen(version) >= sizeof k->version ||
            strverscmp(version, k->version) <= 0 ||
            snprintf(modules, sizeof modules, "%.3000s/lib/modules/%s/kernel",
                     root, version) < 0 ||
            !exists(modules)) {
            continue;
        }
        snprintf(k->version, sizeof k->version, "%s", version);
        snprintf(k->modules, sizeof k->modules, "%s", modules);
        snprintf(k->image, sizeof k->image, "%.3000s/%s", boot, entry->d_name);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return k->version[0] != '\0' && exists(k->image);
}

static bool make_folder(const char *path)
{
    char part[KERNEL_PATH_MAX];

    if (!join(part, path, "/")) {
        return false;
    }
    for (char *p = part + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST) {
            return false;
        }
        *p = '/';
    }
    return true;
}

/* "linux-image-6.1.0-56-cloud-amd64", which the package of the newest needs. */
static bool package_name(char *name, size_t size)
{
    static const char *const argv[] = {"apt-cache", "depends",
                                       "linux-image-cloud-amd64", NULL};
    static const char word[] = "Depends: linux-image-";
    char *text = malloc(LIST_BYTES);

    CHECK(text != NULL);
    const struct spawn s = {
        .argv = argv, .text = text, .text_bytes = LIST_BYTES, .ms = UNPACK_MS};
    const char *at = spawn_run(&s) == 0 ? strstr(text, word) : NULL;
    if (at != NULL) {
        at += sizeof "Depends: " - 1;
        snprintf(name, size, "%.*s", (int)strcspn(at, " \n|"), at);
    }
    free(text);
    return at != NULL;
}

/* In a folder of its own, so that half a download is never taken for one. */
static bool fetch(const char *package, const char *folder)
{
    char file[KERNEL_PATH_MAX];
    const char *const get[] = {"apt-get", "-q", "download", package, NULL};
    const struct dirent *entry;

    if (spawn_run(&(struct spawn){
            .argv = get, .folder = folder, .ms = APT_MS}) != 0) {
        return false;
    }
    bool ok = false;
    DIR *dir = opendir(folder);
    while (dir != NULL && !ok && (entry = readdir(dir)) != NULL) {
        size_t n = strlen(entry->d_name);
        if (n > 4 && strcmp(entry->d_name + n - 4, ".deb") == 0) {
            const char *const unpack[] = {"dpkg-deb", "-x", file, ".", NULL};
            snprintf(file, sizeof file, "%s", entry->d_name);
            ok = spawn_run(&(struct spawn){
                     .argv = unpack, .folder = folder, .ms = UNPACK_MS}) == 0;
            char path[KERNEL_PATH_MAX];
            snprintf(path, sizeof path, "%.3000s/%.255s", folder, file);
            (void)unlink(path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return ok;
}

static bool download(const char *cache, struct kernel *k, char *why)
{
    char package[128] = "linux-image-cloud-amd64";
    char root[KERNEL_PATH_MAX];
    char fresh[KERNEL_PATH_MAX];

    snprintf(root, sizeof root, "%.3000s/kernel", cache);
    snprintf(fresh, sizeof fresh, "%.3000s/kernel.%ld", cache, (long)getpid());
    bool ok = package_name(package, sizeof package) && make_folder(fresh) &&
              fetch(package, fresh);
    if (ok && rename(fresh, root) != 0 && errno != EEXIST &&
        errno != ENOTEMPTY) {
        ok = false;
    }
    const char *const clear[] = {"rm", "-rf", fresh, NULL};
    (void)spawn_run(&(struct spawn){.argv = clear, .ms = UNPACK_MS});
    if (!ok || !newest(root, "", k)) {
        snprintf(why, KERNEL_WHY_MAX,
                 "no kernel for guests: apt-get download %s failed\n"
                 "apt-get update, and see that %.200s can be written; or "
                 "install linux-image-cloud-amd64",
                 package, cache);
        return false;
    }
    k->downloaded = true;
    return true;
}

/* ---- unpacked: a second less at each boot ----------------------------------
 */

static bool write_part(const char *path, const unsigned char *bytes,
                       size_t size)
{
    FILE *f = fopen(path, "we");

    if (f == NULL) {
        return false;
    }
    bool ok = fwrite(bytes, 1, size, f) == size;
    return fclose(f) == 0 && ok;
}

/* The program for what is packed so, and how many bytes at its end are not of
 * it (the kernel's own: the unpacked size). */
static const char *packer_of(const unsigned char *p, size_t *extra)
{
    static const struct {
        const char *magic;
        size_t size;
        const char *program;
        size_t extra;
    } known[] = {{"\x02\x21\x4c\x18", 4, "lz4", 4},
                 {"\xfd"
                  "7zXZ",
                  5, "xz", 4},
                 {"\x28\xb5\x2f\xfd", 4, "zstd", 4},
                 {"\x1f\x8b", 2, "gzip", 0}};

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (memcmp(p, known[i].magic, known[i].size) == 0) {
            *extra = known[i].extra;
            return known[i].program;
        }
    }
    return NULL;
}

static size_t u32_at(const unsigned char *b)
{
    return (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 |
           (size_t)b[3] << 24;
}

/* Cuts the packed kernel out of the boot image (its setup header says where:
 * Documentation/arch/x86/boot.rst) and unpacks it. */
static bool unpack(const unsigned char *image, size_t size, const char *to)
{
    char part[KERNEL_PATH_MAX];
    char fresh[KERNEL_PATH_MAX];
    size_t extra = 0;

    if (size < 0x250 || memcmp(image + 0x202, "HdrS", 4) != 0 ||
        !join(part, to, ".packed") || !join(fresh, to, ".new")) {
        return false;
    }
    size_t setup = ((image[0x1f1] != 0 ? image[0x1f1] : 4U) + 1) * 512;
    size_t at = setup + u32_at(image + 0x248);
    size_t length = u32_at(image + 0x24c);
    if (at > size || length > size - at || length < 16) {
        return false;
    }
    const char *program = packer_of(image + at, &extra);
    if (program == NULL || !spawn_there(program)) {
        return false;
    }
    const char *const argv[] = {program, "-dc", NULL};
    const struct spawn s = {
        .argv = argv, .in = part, .out = fresh, .ms = UNPACK_MS};
    bool ok = write_part(part, image + at, length - extra) &&
              spawn_run(&s) == 0 && rename(fresh, to) == 0;
    (void)unlink(part);
    (void)unlink(fresh);
    return ok;
}

static void use_unpacked(const char *cache, struct kernel *k)
{
    char path[KERNEL_PATH_MAX];
    size_t size;

    if (snprintf(path, sizeof path, "%s/vmlinux-%s", cache, k->version) >=
        (int)sizeof path) {
        return;
    }
    if (!exists(path)) {
        unsigned char *image = kernel_load(k->image, &size);
        bool ok = image != NULL && unpack(image, size, path);
        free(image);
        if (!ok) {
            return;
        }
    }
    snprintf(k->image, sizeof k->image, "%s", path);
}

bool kernel_find(const char *cache, struct kernel *k, char *why)
{
    char root[KERNEL_PATH_MAX];

    *k = (struct kernel){0};
    if (!make_folder(cache) || !join(root, cache, "/kernel")) {
        snprintf(why, KERNEL_WHY_MAX,
                 "cannot make %.300s: %s\nset XDG_CACHE_HOME to a folder that "
                 "can be written",
                 cache, strerror(errno));
        return false;
    }
    if (!newest(root, "", k) && !newest("", "cloud-amd64", k) &&
        !download(cache, k, why) && !newest("", "amd64", k)) {
        return false;
    }
    use_unpacked(cache, k);
    return true;
}

/* ---- modules ---------------------------------------------------------------
 */

static unsigned char *load_plain(const char *path, size_t *size)
{
    struct stat st;
    FILE *f = fopen(path, "re");

    if (f == NULL || fstat(fileno(f), &st) != 0) {
        if (f != NULL) {
            fclose(f);
        }
        return NULL;
    }
    *size = (size_t)st.st_size;
    unsigned char *bytes = malloc(*size + 1);
    CHECK(bytes != NULL);
    bool ok = fread(bytes, 1, *size, f) == *size;
    fclose(f);
    if (!ok) {
        free(bytes);
        return NULL;
    }
    bytes[*size] = '\0';
    return bytes;
}

/* The program that unpacks files of that suffix; NULL: it is plain. */
static const char *packer_by_suffix(const char *path)
{
    static const char *const known[][2] = {
        {".xz", "xz"}, {".zst", "zstd"}, {".gz", "gzip"}};
    size_t n = strlen(path);

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        size_t suffix = strlen(known[i][0]);
        if (n > suffix && strcmp(path + n - suffix, known[i][0]) == 0) {
            return known[i][1];
        }
    }
    return NULL;
}

unsigned char *kernel_load(const char *path, size_t *size)
{
    char fresh[] = "/tmp/motet-XXXXXX";
    const char *program = packer_by_suffix(path);

    if (program == NULL) {
        return load_plain(path, size);
    }
    int fd = mkstemp(fresh);
    if (fd < 0) {
        return NULL;
    }
    close(fd);
    const char *const argv[] = {program, "-dc", NULL};
    const struct spawn s = {
        .argv = argv, .in = path, .out = fresh, .ms = UNPACK_MS};
    unsigned char *bytes = spawn_run(&s) == 0 ? load_plain(fresh, size) : NULL;
    (void)unlink(fresh);
    return bytes;
}

/* "virtio_net" is the file virtio_net.ko or virtio-net.ko, maybe packed. */
static bool is_module(const char *file, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++) {
        char c = file[i] == '-' ? '_' : file[i];
        if (c != name[i]) {
            return false;
        }
    }
    return strncmp(file + n, ".ko", 3) == 0;
}

static bool find_module(const struct kernel *k, const char *name, char *path)
{
    char root[KERNEL_PATH_MAX];
    char *roots[] = {root, NULL};
    FTSENT *e;
    bool ok = false;

    snprintf(root, sizeof root, "%s", k->modules);
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    while (tree != NULL && !ok && (e = fts_read(tree)) != NULL) {
        if (e->fts_info == FTS_F && is_module(e->fts_name, name)) {
            ok = snprintf(path, KERNEL_PATH_MAX, "%s", e->fts_path) <
                 KERNEL_PATH_MAX;
        }
    }
    if (tree != NULL) {
        (void)fts_close(tree);
    }
    return ok;
}

static bool has(const struct kernel_modules *m, const char *path)
{
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->paths[i], path) == 0) {
            return true;
        }
    }
    return false;
}

/* "virtio,virtio_ring", of the module's own notes. Gives. */
static char *needs_of(const char *path)
{
    static const char key[] = "depends=";
    size_t size;
    char *needs = NULL;
    unsigned char *bytes = kernel_load(path, &size);

    for (const unsigned char *at = bytes; bytes != NULL && needs == NULL;) {
        at = memmem(at, size - (size_t)(at - bytes), key, sizeof key - 1);
        if (at == NULL) {
            break;
        }
        if (at > bytes && at[-1] == '\0') {
            needs = strdup((const char *)at + sizeof key - 1);
        }
        at++;
    }
    free(bytes);
    return needs;
}

/* Depth first; the depth of modules is that of their needs, 5 or so. */
static void add_module(const struct kernel *k, const char *name,
                       struct kernel_modules *m, unsigned depth)
{
    enum { DEPTH_MAX = 16 };
    char path[KERNEL_PATH_MAX];

    if (depth == DEPTH_MAX || !find_module(k, name, path) || has(m, path)) {
        return;
    }
    char *needs = needs_of(path);
    char *rest = needs;
    for (const char *need;
         rest != NULL && (need = strsep(&rest, ",")) != NULL;) {
        if (need[0] != '\0') {
            add_module(k, need, m, depth + 1);
        }
    }
    free(needs);
    if (m->count < KERNEL_MODULES_MAX && !has(m, path)) {
        m->paths[m->count++] = strdup(path);
    }
}

void kernel_modules(const struct kernel *k, const char *const names[],
                    size_t count, struct kernel_modules *m)
{
    m->count = 0;
    for (size_t i = 0; i < count; i++) {
        add_module(k, names[i], m, 0);
    }
}

void kernel_modules_free(struct kernel_modules *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->paths[i]);
    }
    m->count = 0;
}
