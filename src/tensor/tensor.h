// A dense row-major array on a device: element type, shape, storage. No maths.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "quant/dtype.h"
#include "quant/nf4.h"

namespace hone {

/// Up to four sizes, outermost first.
class Shape {
 public:
  static constexpr int kMaxRank = 4;
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes);
  int rank() const { return rank_; }
  int64_t operator[](int axis) const;  // negative counts from the end
  int64_t elements() const;
  bool operator==(const Shape& other) const;
  bool operator!=(const Shape& other) const { return !(*this == other); }
  std::string str() const;  // "(2, 512, 576)"

 private:
  std::array<int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

enum class Device : uint8_t { kCpu };

/// A block of bytes: taken from the arena (64-byte aligned), or borrowed from an owner such as a file mapping.
class Storage {
 public:
  static std::shared_ptr<Storage> allocate(size_t bytes);
  /// What allocate() takes for so many bytes.
  static size_t block_bytes(size_t bytes);
  static std::shared_ptr<Storage> borrow(const void* data, size_t bytes, std::shared_ptr<const void> owner);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  bool writable() const { return writable_; }

 private:
  Storage() = default;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0, capacity_ = 0;
  bool writable_ = true;
  std::shared_ptr<const void> owner_;
};

/// Bytes of tensors: in use now, highest so far, and free within the arena.
struct MemoryUse { size_t in_use, peak, cached; };
MemoryUse memory_use();
void reset_peak_memory();
/// Gives the arena's free pages back to the operating system.
void release_cached_memory();

/// A handle; copies share storage.
class Tensor {
 public:
  Tensor() = default;
  static Tensor empty(Shape shape, DType type);
  static Tensor zeros(Shape shape, DType type);
  static Tensor from(Shape shape, std::span<const float> values);
  static Tensor from(Shape shape, std::span<const int32_t> values);
  /// A tensor over bytes it does not own, checked: `bytes` must hold the shape. `owner` is kept alive.
  static Tensor borrow(Shape shape, DType type, const void* data, size_t bytes, std::shared_ptr<const void> owner);
  /// An NF4 matrix: codes of ceil(elements / 2) bytes and their scales.
  static Tensor nf4(Shape shape, std::shared_ptr<Storage> codes, std::shared_ptr<const quant::Nf4State> state);

  /// A matrix of signed bytes and the F32 scale of each of its rows.
  static Tensor int8(Shape shape, std::shared_ptr<Storage> codes, std::shared_ptr<Storage> row_scales);

  /// A matrix of GGUF blocks in panels (quant/panels.h), which the codes hold.
  static Tensor panels(Shape shape, DType type, std::shared_ptr<Storage> codes);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t size(int axis) const { return shape_[axis]; }
  int64_t elements() const { return shape_.elements(); }
  DType dtype() const { return type_; }
  Device device() const { return Device::kCpu; }
  size_t bytes() const;
  const quant::Nf4State* nf4_state() const { return nf4_.get(); }
  /// One per row of an int8 matrix, else null.
  const float* row_scales() const { return row_scales_ ? reinterpret_cast<const float*>(row_scales_->data()) : nullptr; }
  bool in_panels() const { return panels_; }
  long owners() const { return storage_.use_count(); }
  bool writable() const { return storage_ && storage_->writable(); }

  const void* raw() const { return storage_ ? storage_->data() + offset_ : nullptr; }
  void* raw_mutable() const;  // throws when the storage is read-only
  template <class T>
  const T* data() const { return static_cast<const T*>(raw()); }
  template <class T>
  T* data_mutable() const { return static_cast<T*>(raw_mutable()); }

  /// Same elements, another shape.
  Tensor reshape(Shape shape) const;
  /// Rows [begin, end) of the outermost axis, sharing storage.
  Tensor rows(int64_t begin, int64_t end) const;
  Tensor clone() const;

 private:
  std::shared_ptr<Storage> storage_;
  std::shared_ptr<const quant::Nf4State> nf4_;
  std::shared_ptr<Storage> row_scales_;
  size_t offset_ = 0;
  Shape shape_;
  DType type_ = DType::kF32;
  bool panels_ = false;
};

}  // namespace hone
