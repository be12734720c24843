#ifndef BASE_UI_H
#define BASE_UI_H

#include <motet/types.h>
#include <stdbool.h>
#include <stdint.h>

/* The inside of a UI: hi = site id; lo = incarnation << 32 | serial. The top
 * four bits of the serial (bits 28 to 31 of lo) are the kind. A static group
 * has no site: hi and the 60 other bits of lo come from a hash of its name; its
 * incarnation and serial read as 0. DESIGN section 5. */
enum ui_kind {
    UI_NONE = 0,
    UI_PORT,
    UI_GROUP,        /* dynamic */
    UI_STATIC_GROUP, /* named by a string */
    UI_ACTOR,
    UI_SITE,    /* incarnation and serial 0: the site as such */
    UI_CONTROL, /* incarnation and serial 0: the site's control port */
    UI_KIND_COUNT
};

enum { UI_SERIAL_MAX = (1 << 28) - 1 };

struct motet_ui ui_make(uint64_t site, uint32_t incarnation, enum ui_kind kind,
                        uint32_t serial);
enum ui_kind ui_kind(struct motet_ui ui); /* UI_NONE for an unknown kind */
uint64_t ui_site(struct motet_ui ui);     /* 0 for a static group */
uint32_t ui_incarnation(struct motet_ui ui);
uint32_t ui_serial(struct motet_ui ui);
bool ui_equal(struct motet_ui a, struct motet_ui b);
bool ui_is_group(struct motet_ui ui);

/** The well-known names of a site: the same in every incarnation. */
struct motet_ui ui_of_site(uint64_t site);
struct motet_ui ui_of_control(uint64_t site);

/** The UI of the static group called `name` (NUL-terminated). Everyone who
 * knows the string gets the same UI. */
struct motet_ui ui_of_name(const char *name);

/** 1 to MOTET_NAME_MAX bytes of letters, digits and . _ - $ /, as in service
 * and site names. */
bool ui_name_ok(const char *name);

#endif
