#ifndef PROTO_FIELDS_H
#define PROTO_FIELDS_H

#include <motet/types.h>

#include "nucleus/base/cursor.h"

/* Fields that more than one format has, each as the one way to write and to
 * read it: a UI is u64 hi, u64 lo; a protection identifier u32 uid, u32 gid,
 * u32 domain; a destination UI target, UI co, u8 mode, u8 wait; a flag u8, 0 or
 * 1; a name u8 length and so many bytes, no NUL among them. */

static inline void put_ui(struct writer *w, struct motet_ui ui)
{
    write_u64(w, ui.hi);
    write_u64(w, ui.lo);
}

static inline struct motet_ui get_ui(struct reader *r)
{
    const uint64_t hi = read_u64(r);
    return (struct motet_ui){.hi = hi, .lo = read_u64(r)};
}

static inline void put_pi(struct writer *w, struct motet_pi pi)
{
    write_u32(w, pi.uid);
    write_u32(w, pi.gid);
    write_u32(w, pi.domain);
}

static inline struct motet_pi get_pi(struct reader *r)
{
    const uint32_t uid = read_u32(r);
    const uint32_t gid = read_u32(r);
    return (struct motet_pi){.uid = uid, .gid = gid, .domain = read_u32(r)};
}

/* @return false: neither 0 nor 1 */
static inline bool get_bool(struct reader *r, bool *v)
{
    const uint8_t byte = read_u8(r);
    *v = byte == 1;
    return byte <= 1;
}

static inline void put_dest(struct writer *w, const struct motet_dest *d)
{
    put_ui(w, d->target);
    put_ui(w, d->co);
    write_u8(w, (uint8_t)d->mode);
    write_u8(w, d->wait);
}

/* @return false: no such mode, or no flag */
static inline bool get_dest(struct reader *r, struct motet_dest *d)
{
    d->target = get_ui(r);
    d->co = get_ui(r);
    const uint8_t mode = read_u8(r);
    const bool ok = get_bool(r, &d->wait) && mode < MOTET_MODE_COUNT;
    d->mode = ok ? (enum motet_mode)mode : MOTET_TO_ANY;
    return ok;
}

static inline void put_name(struct writer *w, const char *name)
{
    const size_t size = strnlen(name, MOTET_NAME_MAX);
    write_u8(w, (uint8_t)size);
    write_span(w, name, size);
}

/* A name of `size` bytes. @return false: they are not there, too many, or have
 * a NUL; then it is "" */
static inline bool get_name_of(struct reader *r, size_t size,
                               char name[MOTET_NAME_MAX + 1])
{
    const uint8_t *bytes = read_span(r, size);
    name[0] = '\0';
    if (bytes == NULL || size > MOTET_NAME_MAX ||
        memchr(bytes, 0, size) != NULL) {
        return false;
    }
    memcpy(name, bytes, size);
    name[size] = '\0';
    return true;
}

static inline bool get_name(struct reader *r, char name[MOTET_NAME_MAX + 1])
{
    return get_name_of(r, read_u8(r), name);
}

#endif
