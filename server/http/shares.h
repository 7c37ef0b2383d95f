/* SPDX-License-Identifier: GPL-2.0-or-later */
/* shares: the memory for request bodies, shared between tenants so that none of them takes all of it.
 *
 * Each tenant with a request under way has a share of the budget (common/budget.h); shares come and go with requests.
 * One mutex around the names; taking and giving bytes is lock-free. */
#ifndef LARCH_SERVER_HTTP_SHARES_H
#define LARCH_SERVER_HTTP_SHARES_H

#include "common/budget.h"
#include "common/str.h"

struct shares;

/* fair: false where there is only one tenant, who may have everything. The budget outlives the shares. */
struct shares *shares_new(struct budget *b, bool fair);
void shares_free(struct shares *s); /* nothing may be held; NULL is nothing */

struct budget_share *shares_get(struct shares *s, struct str tenant);
void shares_put(struct shares *s, struct budget_share *share);

#endif
