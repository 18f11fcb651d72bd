/* A stand-in for NVIDIA's management library, libnvidia-ml.so.1, beside that for its driver. */
#include <stdio.h>

int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *version, unsigned size) {
  snprintf(version, size, "580.00");
  return 0;
}
