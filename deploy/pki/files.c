#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 96, TEXT_MAX = 128 };

bool pki_why(const struct pki_dir *dir, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(dir->why, dir->why_size, fmt, args);
    va_end(args);
    return false;
}

/* The system's reason, with the name of the file. */
static bool system_why(const struct pki_dir *dir, const char *verb,
                       const char *file)
{
    char text[TEXT_MAX];
    const char *reason = strerror_r(errno, text, sizeof text);
    return pki_why(dir, "cannot %s %s%s%s: %s", verb, dir->path,
                   file[0] == '\0' ? "" : "/", file, reason);
}

bool pki_dir_open(struct pki_dir *dir)
{
    if (mkdir(dir->path, 0700) != 0 && errno != EEXIST) {
        return system_why(dir, "make the directory", "");
    }
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0) {
        return system_why(dir, "open the directory", "");
    }
    struct stat st;
    if (fstat(dir->fd, &st) != 0 || (st.st_mode & 022) != 0) {
        pki_dir_close(dir);
        return pki_why(dir, "others may write to %s: chmod 700", dir->path);
    }
    while (flock(dir->fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            pki_dir_close(dir);
            return system_why(dir, "lock the directory", "");
        }
    }
    return true;
}

void pki_dir_close(struct pki_dir *dir)
{
    int err = errno;
    (void)close(dir->fd);
    dir->fd = -1;
    errno = err;
}

static int no_password(char *buf, int size, int writing, void *ctx)
{
    (void)buf, (void)size, (void)writing, (void)ctx;
    return 0;
}

/* Opens a file of the directory; *out = NULL if there is none. */
static bool open_file(const struct pki_dir *dir, const char *file, bool secret,
                      BIO **out)
{
    struct stat st;
    *out = NULL;
    int fd = openat(dir->fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT || system_why(dir, "read", file);
    }
    if (fstat(fd, &st) != 0 || (secret && (st.st_mode & 077) != 0)) {
        (void)close(fd);
        return pki_why(dir,
                       "key file %s/%s readable by others (mode %04o): "
                       "chmod 600",
                       dir->path, file, (unsigned)st.st_mode & 07777u);
    }
    FILE *f = fdopen(fd, "r");
    *out = f == NULL ? NULL : BIO_new_fp(f, BIO_CLOSE);
    CHECK(*out != NULL);
    return true;
}

bool pki_read_cert(const struct pki_dir *dir, const char *name, X509 **out)
{
    char file[FILE_MAX];
    BIO *bio;
    (void)snprintf(file, sizeof file, "%s.pem", name);
    *out = NULL;
    if (!open_file(dir, file, false, &bio)) {
        return false;
    }
    if (bio == NULL) {
        return true;
    }
    *out = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return *out != NULL ||
           pki_why(dir, "%s/%s holds no certificate in PEM form; move it away",
                   dir->path, file);
}

bool pki_read_key(const struct pki_dir *dir, const char *name, EVP_PKEY **out)
{
    char file[FILE_MAX];
    BIO *bio;
    (void)snprintf(file, sizeof file, "%s.key", name);
    *out = NULL;
    if (!open_file(dir, file, true, &bio)) {
        return false;
    }
    if (bio == NULL) {
        return true;
    }
    *out = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return *out != NULL ||
           pki_why(dir, "%s/%s holds no private key in PEM form; move it away",
                   dir->path, file);
}

/* Writes all of it and sees it on the disk. */
static bool fill(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return fsync(fd) == 0;
}

static bool write_file(const struct pki_dir *dir, const char *file, mode_t mode,
                       BIO *content)
{
    char temp[FILE_MAX + 8];
    char *data;
    long size = BIO_get_mem_data(content, &data);
    (void)snprintf(temp, sizeof temp, ".%s.new", file);
    /* We hold the lock: what is left of an interrupted writer is ours. */
    if (unlinkat(dir->fd, temp, 0) != 0 && errno != ENOENT) {
        return system_why(dir, "remove", temp);
    }
    int fd = openat(dir->fd, temp,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return system_why(dir, "write", temp);
    }
    bool ok = fill(fd, data, (size_t)size) && fchmod(fd, mode) == 0;
    ok = close(fd) == 0 && ok;
    ok = ok && renameat(dir->fd, temp, dir->fd, file) == 0 &&
         fsync(dir->fd) == 0;
    if (!ok) {
        (void)system_why(dir, "write", file);
        (void)unlinkat(dir->fd, temp, 0);
    }
    return ok;
}

/* A memory BIO that erases itself. */
static BIO *new_content(void)
{
    BIO *content = BIO_new(BIO_s_secmem());
    CHECK(content != NULL);
    return content;
}

bool pki_write_cert(const struct pki_dir *dir, const char *name, X509 *cert)
{
    char file[FILE_MAX];
    BIO *content = new_content();
    CHECK(PEM_write_bio_X509(content, cert) == 1);
    (void)snprintf(file, sizeof file, "%s.pem", name);
    bool ok = write_file(dir, file, 0644, content);
    BIO_free(content);
    return ok;
}

bool pki_write_key(const struct pki_dir *dir, const char *name, EVP_PKEY *key)
{
    char file[FILE_MAX];
    BIO *content = new_content();
    CHECK(PEM_write_bio_PKCS8PrivateKey(content, key, NULL, NULL, 0, NULL,
                                        NULL) == 1);
    (void)snprintf(file, sizeof file, "%s.key", name);
    bool ok = write_file(dir, file, 0600, content);
    BIO_free(content);
    return ok;
}
