#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>

#include "quant/panels.h"

namespace hone {

Shape::Shape(std::initializer_list<int64_t> sizes) {
  HONE_CHECK(sizes.size() <= kMaxRank, "rank {}", sizes.size());
  for (int64_t size : sizes) {
    HONE_CHECK(size >= 0, "negative size {}", size);
    sizes_[rank_++] = size;
  }
}

int64_t Shape::operator[](int axis) const {
  const int index = axis < 0 ? axis + rank_ : axis;
  HONE_CHECK(index >= 0 && index < rank_, "axis {} of {}", axis, str());
  return sizes_[index];
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i)
    if (__builtin_mul_overflow(product, sizes_[i], &product))
      throw Error(ErrorCode::kInvalidInput, "tensor shape " + str(), "more elements than 64 bits count");
  return product;
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ && std::equal(sizes_.begin(), sizes_.begin() + rank_, other.sizes_.begin());
}

std::string Shape::str() const {
  std::string text = "(";
  for (int i = 0; i < rank_; ++i) text += (i ? ", " : "") + std::to_string(sizes_[i]);
  return text + ")";
}

namespace {
size_t storage_bytes(const Shape& shape, DType type) {
  if (shape.elements() == 0) return 0;
  if (type == DType::kNF4) return static_cast<size_t>((shape.elements() + 1) / 2);
  const int64_t cols = shape.rank() ? shape[-1] : 1;
  return static_cast<size_t>(shape.elements() / cols * row_bytes(type, cols));
}

size_t panels_bytes(const Shape& shape, DType type) { return static_cast<size_t>(quant::panels_of(shape[0]) * quant::panel_bytes(type, shape[1])); }
}  // namespace

Tensor Tensor::empty(Shape shape, DType type) {
  Tensor t;
  t.shape_ = shape;
  t.type_ = type;
  t.storage_ = Storage::allocate(storage_bytes(shape, type));
  return t;
}

Tensor Tensor::zeros(Shape shape, DType type) {
  Tensor t = empty(shape, type);
  if (t.bytes()) std::memset(t.raw_mutable(), 0, t.bytes());
  return t;
}

Tensor Tensor::from(Shape shape, std::span<const float> values) {
  HONE_CHECK(shape.elements() == static_cast<int64_t>(values.size()), "{} values for {}", values.size(), shape.str());
  Tensor t = empty(shape, DType::kF32);
  if (!values.empty()) std::memcpy(t.raw_mutable(), values.data(), values.size_bytes());
  return t;
}

Tensor Tensor::from(Shape shape, std::span<const int32_t> values) {
  HONE_CHECK(shape.elements() == static_cast<int64_t>(values.size()), "{} values for {}", values.size(), shape.str());
  Tensor t = empty(shape, DType::kI32);
  if (!values.empty()) std::memcpy(t.raw_mutable(), values.data(), values.size_bytes());
  return t;
}

Tensor Tensor::borrow(Shape shape, DType type, const void* data, size_t bytes, std::shared_ptr<const void> owner) {
  const size_t needed = storage_bytes(shape, type);
  HONE_CHECK(needed <= bytes, "{} {} needs {} bytes, {} given", name(type), shape.str(), needed, bytes);
  Tensor t;
  t.shape_ = shape;
  t.type_ = type;
  t.storage_ = Storage::borrow(data, needed, std::move(owner));
  return t;
}

Tensor Tensor::nf4(Shape shape, std::shared_ptr<Storage> codes, std::shared_ptr<const quant::Nf4State> state) {
  HONE_CHECK(codes && codes->bytes() >= storage_bytes(shape, DType::kNF4), "too few codes for {}", shape.str());
  HONE_CHECK(state && static_cast<int64_t>(state->absmax_code.size()) * quant::kNf4Block >= shape.elements(),
             "too few scales for {}", shape.str());
  Tensor t;
  t.shape_ = shape;
  t.type_ = DType::kNF4;
  t.storage_ = std::move(codes);
  t.nf4_ = std::move(state);
  return t;
}

Tensor Tensor::int8(Shape shape, std::shared_ptr<Storage> codes, std::shared_ptr<Storage> row_scales) {
  HONE_CHECK(shape.rank() == 2 && codes && codes->bytes() >= storage_bytes(shape, DType::kI8), "too few codes for {}", shape.str());
  HONE_CHECK(row_scales && row_scales->bytes() >= static_cast<size_t>(shape[0]) * sizeof(float), "too few scales for {}", shape.str());
  Tensor t;
  t.shape_ = shape;
  t.type_ = DType::kI8;
  t.storage_ = std::move(codes);
  t.row_scales_ = std::move(row_scales);
  return t;
}

Tensor Tensor::panels(Shape shape, DType type, std::shared_ptr<Storage> codes) {
  HONE_CHECK(shape.rank() == 2 && quant::has_panels(type, shape[1]) && codes && codes->bytes() >= panels_bytes(shape, type), "no panels of {} {}", name(type), shape.str());
  Tensor t;
  t.shape_ = shape;
  t.type_ = type;
  t.storage_ = std::move(codes);
  t.panels_ = true;
  return t;
}

size_t Tensor::bytes() const { return panels_ ? panels_bytes(shape_, type_) : storage_bytes(shape_, type_); }

void* Tensor::raw_mutable() const {
  HONE_CHECK(storage_ && storage_->writable(), "write to a read-only or undefined tensor");
  return storage_->data() + offset_;
}

Tensor Tensor::reshape(Shape shape) const {
  HONE_CHECK(shape.elements() == elements(), "reshape {} to {}", shape_.str(), shape.str());
  HONE_CHECK(!traits(type_).quantized || shape[-1] == shape_[-1], "reshape of quantised rows {}", shape_.str());
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  HONE_CHECK(shape_.rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0], "rows [{}, {}) of {}", begin, end,
             shape_.str());
  HONE_CHECK(type_ != DType::kNF4 && type_ != DType::kI8 && !panels_, "row views of {} are not supported", name(type_));
  const size_t stride = shape_[0] ? bytes() / static_cast<size_t>(shape_[0]) : 0;
  Tensor t = *this;
  t.offset_ += stride * static_cast<size_t>(begin);
  switch (shape_.rank()) {
    case 1: t.shape_ = {end - begin}; break;
    case 2: t.shape_ = {end - begin, shape_[1]}; break;
    case 3: t.shape_ = {end - begin, shape_[1], shape_[2]}; break;
    default: t.shape_ = {end - begin, shape_[1], shape_[2], shape_[3]}; break;
  }
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = *this;
  t.storage_ = Storage::allocate(bytes());
  t.offset_ = 0;
  if (bytes()) std::memcpy(t.storage_->data(), raw(), bytes());
  return t;
}

}  // namespace hone
