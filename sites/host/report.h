#ifndef HOST_REPORT_H
#define HOST_REPORT_H

#include "log.h"
#include "sites/site/site.h"

/** Says in one line what the site has to tell. */
void report_log(struct log *l, const struct site_log *what);

#endif
