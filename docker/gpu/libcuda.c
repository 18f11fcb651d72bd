/* A stand-in for NVIDIA's driver, libcuda.so.1: GPUs that can be listed, and compute nothing.
 *
 * With it a machine without a GPU shows whether TensorFlow finds all of its CUDA libraries, and which
 * GPUs a process would use. That is as far as it goes: NVIDIA's runtime library makes no context with
 * a driver that is not NVIDIA's own, so that TensorFlow ends with an InternalError of cudaGetDevice
 * where it starts to use a GPU.
 *
 *   STAND_IN_GPUS        how many devices there are (1)
 *   STAND_IN_CAPABILITY  their compute capability (9.0)
 *   STAND_IN_CUDA        the CUDA version that the driver supports (13000)
 *   STAND_IN_INIT        what cuInit answers (0)
 *
 * CUDA_VISIBLE_DEVICES counts as with the driver. Signatures: cuda.h of the CUDA Toolkit.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_VALUE = 1, NO_DEVICE = 100 };
enum { MOST = 16 };

static int number(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text && *text ? atoi(text) : otherwise;
}

/* The devices that CUDA_VISIBLE_DEVICES leaves: their numbers on this machine. */
static int visible(int *found) {
  int all = number("STAND_IN_GPUS", 1), count = 0;
  const char *text = getenv("CUDA_VISIBLE_DEVICES");
  if (all > MOST) all = MOST;
  for (int i = 0; !text && i < all; i++) found[count++] = i;
  while (text && *text && count < MOST) {
    char *end;
    long one = strtol(text, &end, 10);
    if (end == text || one < 0 || one >= all) break;
    found[count++] = (int)one;
    text = *end == ',' ? end + 1 : end;
  }
  return count;
}

int cuInit(unsigned flags) {
  int found[MOST], wrong = number("STAND_IN_INIT", 0);
  return wrong ? wrong : visible(found) ? OK : NO_DEVICE;
}
int cuDriverGetVersion(int *version) {
  *version = number("STAND_IN_CUDA", 13000);
  return OK;
}
int cuDeviceGetCount(int *count) {
  int found[MOST];
  *count = visible(found);
  return OK;
}
int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return OK;
}
int cuDeviceGetName(char *name, int size, int device) {
  int found[MOST];
  visible(found);
  snprintf(name, size, "Stand-in GPU %d", found[device]);
  return OK;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  *bytes = (size_t)8 << 30;
  return OK;
}
int cuDeviceGetPCIBusId(char *id, int size, int device) {
  int found[MOST];
  visible(found);
  snprintf(id, size, "0000:%02x:00.0", found[device] + 1);
  return OK;
}
int cuDeviceGetUuid_v2(unsigned char *id, int device) {
  int found[MOST];
  visible(found);
  memset(id, found[device] + 1, 16);
  return OK;
}
int cuDeviceComputeCapability(int *major, int *minor, int device) {
  const char *text = getenv("STAND_IN_CAPABILITY");
  if (sscanf(text ? text : "9.0", "%d.%d", major, minor) != 2) return INVALID_VALUE;
  return OK;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  int major = 0, minor = 0;
  cuDeviceComputeCapability(&major, &minor, device);
  /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR; all else may be anything but 0. */
  *value = attribute == 75 ? major : attribute == 76 ? minor : 1024;
  return OK;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
  *context = (char *)0x1000 + device;
  return OK;
}
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
  *flags = 0;
  *active = 0;
  return OK;
}
int cuCtxGetCurrent(void **context) {
  *context = (char *)0x1000;
  return OK;
}
int cuCtxSetCurrent(void *context) { return OK; }
int cuCtxGetDevice(int *device) {
  *device = 0;
  return OK;
}
int cuMemGetInfo_v2(size_t *left, size_t *total) {
  *left = *total = (size_t)8 << 30;
  return OK;
}
int cuGetErrorName(int error, const char **name) {
  *name = "an error of the stand-in";
  return OK;
}
int cuGetErrorString(int error, const char **text) { return cuGetErrorName(error, text); }
/* cuDNN does not load without these. */
int cuModuleLoadData(void) { return INVALID_VALUE; }
int cuModuleGetFunction(void) { return INVALID_VALUE; }
int cuModuleUnload(void) { return INVALID_VALUE; }
int cuTensorMapEncodeTiled(void) { return INVALID_VALUE; }
int cuTensorMapEncodeIm2col(void) { return INVALID_VALUE; }
/* The runtime library asks for hundreds of functions, and calls none before it gives up. */
static int unused(void) { return INVALID_VALUE; }
int cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long flags, int *status) {
  *function = (void *)&unused;
  return OK;
}
