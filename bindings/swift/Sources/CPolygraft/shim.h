/* The header of this repository, so that the package and the header are always of one version. */
#include "../../../../include/polygraft.h"
