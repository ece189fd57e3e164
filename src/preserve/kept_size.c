#include "postgres.h"

#include "preserve/kept_size.h"

void
check_kept_size(void)
{
}
