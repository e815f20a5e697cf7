;; The two passes of resize.ts, four channels at a time. The numbers are the same to the bit: sums of
;; 32-bit products, shifted by 22. Written into bytes by `npm run resize` (resize_bytes.ts).
;;
;; Weights lie as in triangle.ts: `firsts`, `counts` and `offsets` have one 32-bit number for each
;; target pixel, `values` has the weights. All addresses are in bytes.
(module
  (memory (export "memory") 1)

  ;; Rows: $height rows of $width RGBA pixels become rows of $target pixels of four bytes.
  (func (export "rows")
    (param $pixels i32) (param $width i32) (param $height i32)
    (param $firsts i32) (param $counts i32) (param $offsets i32) (param $values i32)
    (param $target i32) (param $out i32)
    (local $i i32) (local $from i32) (local $at i32) (local $end i32) (local $sum v128)
    (block $done
      (loop $row
        (br_if $done (i32.eqz (local.get $height)))
        (local.set $i (i32.const 0))
        (loop $pixel
          (local.set $sum (v128.const i32x4 2097152 2097152 2097152 2097152))
          (local.set $from
            (i32.add (local.get $pixels)
              (i32.shl (i32.load (i32.add (local.get $firsts) (local.get $i))) (i32.const 2))))
          (local.set $at
            (i32.add (local.get $values)
              (i32.shl (i32.load (i32.add (local.get $offsets) (local.get $i))) (i32.const 2))))
          (local.set $end
            (i32.add (local.get $at)
              (i32.shl (i32.load (i32.add (local.get $counts) (local.get $i))) (i32.const 2))))
          (loop $weight
            (local.set $sum
              (i32x4.add (local.get $sum)
                (i32x4.mul
                  (i32x4.extend_low_i16x8_u
                    (i16x8.extend_low_i8x16_u (v128.load32_zero (local.get $from))))
                  (v128.load32_splat (local.get $at)))))
            (local.set $from (i32.add (local.get $from) (i32.const 4)))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br_if $weight (i32.lt_u (local.get $at) (local.get $end))))
          (local.set $sum (i32x4.shr_s (local.get $sum) (i32.const 22)))
          (local.set $sum (i16x8.narrow_i32x4_s (local.get $sum) (local.get $sum)))
          (v128.store32_lane 0 (local.get $out)
            (i8x16.narrow_i16x8_u (local.get $sum) (local.get $sum)))
          (local.set $out (i32.add (local.get $out) (i32.const 4)))
          (local.set $i (i32.add (local.get $i) (i32.const 4)))
          (br_if $pixel (i32.lt_u (local.get $i) (i32.shl (local.get $target) (i32.const 2)))))
        (local.set $pixels
          (i32.add (local.get $pixels) (i32.shl (local.get $width) (i32.const 2))))
        (local.set $height (i32.sub (local.get $height) (i32.const 1)))
        (br $row))))

  ;; Columns: rows of $width pixels of four bytes become $target rows of RGB, three bytes a pixel.
  ;; Four pixels are read and sixteen bytes written at once, up to fifteen bytes past the end of
  ;; either: the next row overwrites them, and the caller leaves room after the last.
  (func (export "columns")
    (param $pixels i32) (param $width i32)
    (param $firsts i32) (param $counts i32) (param $offsets i32) (param $values i32)
    (param $target i32) (param $out i32)
    (local $i i32) (local $x i32) (local $to i32) (local $from i32) (local $at i32)
    (local $start i32) (local $first i32) (local $end i32) (local $stride i32)
    (local $four v128) (local $low v128) (local $high v128) (local $weight v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $stride (i32.shl (local.get $width) (i32.const 2)))
    (loop $row
      (local.set $start
        (i32.add (local.get $pixels)
          (i32.mul (i32.load (i32.add (local.get $firsts) (local.get $i))) (local.get $stride))))
      (local.set $first
        (i32.add (local.get $values)
          (i32.shl (i32.load (i32.add (local.get $offsets) (local.get $i))) (i32.const 2))))
      (local.set $end
        (i32.add (local.get $first)
          (i32.shl (i32.load (i32.add (local.get $counts) (local.get $i))) (i32.const 2))))
      (local.set $x (i32.const 0))
      (local.set $to (local.get $out))
      (loop $pixels4
        (local.set $a (v128.const i32x4 2097152 2097152 2097152 2097152))
        (local.set $b (local.get $a))
        (local.set $c (local.get $a))
        (local.set $d (local.get $a))
        (local.set $from (i32.add (local.get $start) (local.get $x)))
        (local.set $at (local.get $first))
        (loop $tap
          (local.set $four (v128.load (local.get $from)))
          (local.set $weight (v128.load32_splat (local.get $at)))
          (local.set $low (i16x8.extend_low_i8x16_u (local.get $four)))
          (local.set $high (i16x8.extend_high_i8x16_u (local.get $four)))
          (local.set $a (i32x4.add (local.get $a)
            (i32x4.mul (i32x4.extend_low_i16x8_u (local.get $low)) (local.get $weight))))
          (local.set $b (i32x4.add (local.get $b)
            (i32x4.mul (i32x4.extend_high_i16x8_u (local.get $low)) (local.get $weight))))
          (local.set $c (i32x4.add (local.get $c)
            (i32x4.mul (i32x4.extend_low_i16x8_u (local.get $high)) (local.get $weight))))
          (local.set $d (i32x4.add (local.get $d)
            (i32x4.mul (i32x4.extend_high_i16x8_u (local.get $high)) (local.get $weight))))
          (local.set $from (i32.add (local.get $from) (local.get $stride)))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (br_if $tap (i32.lt_u (local.get $at) (local.get $end))))
        (local.set $low
          (i16x8.narrow_i32x4_s
            (i32x4.shr_s (local.get $a) (i32.const 22)) (i32x4.shr_s (local.get $b) (i32.const 22))))
        (local.set $high
          (i16x8.narrow_i32x4_s
            (i32x4.shr_s (local.get $c) (i32.const 22)) (i32x4.shr_s (local.get $d) (i32.const 22))))
        (local.set $four (i8x16.narrow_i16x8_u (local.get $low) (local.get $high)))
        (v128.store (local.get $to)
          (i8x16.shuffle 0 1 2 4 5 6 8 9 10 12 13 14 15 15 15 15
            (local.get $four) (local.get $four)))
        (local.set $to (i32.add (local.get $to) (i32.const 12)))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (br_if $pixels4 (i32.lt_u (local.get $x) (local.get $stride))))
      (local.set $out (i32.add (local.get $out) (i32.mul (local.get $width) (i32.const 3))))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $row (i32.lt_u (local.get $i) (i32.shl (local.get $target) (i32.const 2)))))))
