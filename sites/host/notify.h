#ifndef HOST_NOTIFY_H
#define HOST_NOTIFY_H

#include <stdint.h>

/** Tells the service manager, as sd_notify(3): "READY=1", "STATUS=...". Nothing
 * happens without NOTIFY_SOCKET. */
void notify(const char *text);

/** How often it wants "WATCHDOG=1", in milliseconds: half of WATCHDOG_USEC;
 * 0 = never. */
uint64_t notify_watchdog_ms(void);

#endif
