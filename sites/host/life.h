#ifndef HOST_LIFE_H
#define HOST_LIFE_H

#include "config.h"
#include "sites/site/site.h"

/**
 * What a site is told at birth: from the configuration, and fresh chance and
 * secrets from the system. Who it is (site, incarnation) is left to the caller.
 *
 * @param listened  the address listened on: advertised unless another one is
 *                  configured, and never joined through
 * Ownership: `c` borrows the strings of both.
 * @return false if the system gives no randomness
 */
MUST_USE bool life_config(const struct config *cfg, const char *listened,
                          struct site_config *c);

#endif
