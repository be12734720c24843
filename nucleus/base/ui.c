#include "nucleus/base/ui.h"

#include <string.h>

#include "nucleus/base/check.h"
#include "nucleus/base/hash.h"

enum { KIND_SHIFT = 28, KIND_MASK = 0xf };

static struct motet_ui of_parts(uint64_t hi, uint64_t lo, enum ui_kind kind)
{
    const uint64_t mask = (uint64_t)KIND_MASK << KIND_SHIFT;
    return (struct motet_ui){
        .hi = hi,
        .lo = (lo & ~mask) | (uint64_t)kind << KIND_SHIFT,
    };
}

struct motet_ui ui_make(uint64_t site, uint32_t incarnation, enum ui_kind kind,
                        uint32_t serial)
{
    CHECK(kind > UI_NONE && kind < UI_KIND_COUNT);
    CHECK(serial <= UI_SERIAL_MAX);
    return of_parts(site, (uint64_t)incarnation << 32 | serial, kind);
}

enum ui_kind ui_kind(struct motet_ui ui)
{
    const uint32_t kind = (uint32_t)(ui.lo >> KIND_SHIFT) & KIND_MASK;
    return kind < UI_KIND_COUNT ? (enum ui_kind)kind : UI_NONE;
}

uint64_t ui_site(struct motet_ui ui)
{
    return ui_kind(ui) == UI_STATIC_GROUP ? 0 : ui.hi;
}

uint32_t ui_incarnation(struct motet_ui ui)
{
    return ui_kind(ui) == UI_STATIC_GROUP ? 0 : (uint32_t)(ui.lo >> 32);
}

uint32_t ui_serial(struct motet_ui ui)
{
    return ui_kind(ui) == UI_STATIC_GROUP ? 0 : (uint32_t)ui.lo & UI_SERIAL_MAX;
}

bool ui_equal(struct motet_ui a, struct motet_ui b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

bool ui_is_group(struct motet_ui ui)
{
    const enum ui_kind kind = ui_kind(ui);
    return kind == UI_GROUP || kind == UI_STATIC_GROUP;
}

struct motet_ui ui_of_site(uint64_t site)
{
    return ui_make(site, 0, UI_SITE, 0);
}

struct motet_ui ui_of_control(uint64_t site)
{
    return ui_make(site, 0, UI_CONTROL, 0);
}

struct motet_ui ui_of_name(const char *name)
{
    /* Known to all, for ever: the UI of a name is part of the protocol. */
    static const uint64_t key_hi[2] = {0x6d6f74657420736e, 1};
    static const uint64_t key_lo[2] = {0x6d6f74657420736e, 2};
    const size_t size = strlen(name);
    return of_parts(hash_bytes(key_hi, name, size),
                    hash_bytes(key_lo, name, size), UI_STATIC_GROUP);
}

static bool name_byte_ok(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' ||
           c == '$' || c == '/';
}

bool ui_name_ok(const char *name)
{
    if (name == NULL) {
        return false;
    }
    size_t size = 0;
    while (size <= MOTET_NAME_MAX && name_byte_ok(name[size])) {
        size++;
    }
    return size > 0 && size <= MOTET_NAME_MAX && name[size] == '\0';
}
