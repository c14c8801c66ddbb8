// What the planted kernels get: plain buffers of the device.
#pragma once

struct PlantedParams {
  int* in;       // [64]
  int* out;      // [64]
  int* partial;  // [blocks]
  int* ticket;   // [1], zero
  int blocks;
};
