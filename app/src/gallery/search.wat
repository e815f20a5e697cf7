;; Dot products of a query with every row of codes, sixteen numbers at a time. Sums of 4,096 products
;; of two numbers from -127 to 127 stay far below 2^31. Written into bytes by `npm run resize`
;; (search_bytes.ts).
(module
  (memory (export "memory") 1)

  ;; $count rows of $stride int8 codes (a multiple of 16) with $stride int16 numbers of the query; one
  ;; int32 for each row at $out. All addresses are in bytes.
  (func (export "dots")
    (param $codes i32) (param $count i32) (param $stride i32) (param $query i32) (param $out i32)
    (local $end i32) (local $at i32) (local $a v128) (local $b v128)
    (block $done
      (loop $row
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $a (v128.const i32x4 0 0 0 0))
        (local.set $b (v128.const i32x4 0 0 0 0))
        (local.set $at (local.get $query))
        (local.set $end (i32.add (local.get $codes) (local.get $stride)))
        (loop $step
          (local.set $a
            (i32x4.add (local.get $a)
              (i32x4.dot_i16x8_s
                (v128.load8x8_s (local.get $codes))
                (v128.load (local.get $at)))))
          (local.set $b
            (i32x4.add (local.get $b)
              (i32x4.dot_i16x8_s
                (v128.load8x8_s offset=8 (local.get $codes))
                (v128.load offset=16 (local.get $at)))))
          (local.set $codes (i32.add (local.get $codes) (i32.const 16)))
          (local.set $at (i32.add (local.get $at) (i32.const 32)))
          (br_if $step (i32.lt_u (local.get $codes) (local.get $end))))
        (local.set $a (i32x4.add (local.get $a) (local.get $b)))
        (i32.store (local.get $out)
          (i32.add
            (i32.add (i32x4.extract_lane 0 (local.get $a)) (i32x4.extract_lane 1 (local.get $a)))
            (i32.add (i32x4.extract_lane 2 (local.get $a)) (i32x4.extract_lane 3 (local.get $a)))))
        (local.set $out (i32.add (local.get $out) (i32.const 4)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $row)))))
