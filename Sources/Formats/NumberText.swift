// How numbers are written for a person to read.

/// A number of so many significant digits at most: `0.6931`, `12.5`, `1.234e-07`, `3.403e+38`. Below a
/// million the digits before the point all stay: `12346`.
package func shortNumber(_ value: Double, digits: Int = 4) -> String {
  guard value.isFinite, value != 0 else { return value == 0 ? "0" : "\(value)" }
  // |value| = mantissa · 10^exponent, the mantissa with all wanted digits before its point.
  var (mantissa, exponent) = (abs(value), 0)
  var low = 1.0
  for _ in 1..<max(1, digits) { low *= 10 }
  while mantissa < low { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
  if abs(value) >= 1e6 {
    while mantissa >= low * 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
  }
  // Read as a decimal, the result has no more digits: 3 · 0.1 is not 0.3.
  let rounded = Double("\(mantissa.rounded())".dropLast(2) + "e\(exponent)") ?? value
  // Of the largest numbers the rounded one may be beyond all.
  let text = "\(rounded.isFinite ? (value < 0 ? -rounded : rounded) : value)"
  return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}

/// The value as the decimal that reads back as the same Float, which is what a step reports: 0.1 and
/// not 0.10000000149011612.
package func shortestDecimal(ofFloat value: Double) -> Double {
  Double(Float(value).description) ?? value
}

/// A number with a fixed count of decimals, rounded to the nearest; |value · 10^decimals| is
/// below 2⁶², as all that is shown so.
package func fixed(_ value: Double, decimals: Int) -> String {
  var unit = 1
  for _ in 0..<max(decimals, 0) { unit *= 10 }
  let scaled = (value * Double(unit)).rounded()
  guard abs(scaled) < 0x1p62 else { return value.description }
  let whole = Int(scaled)
  let sign = whole < 0 ? "-" : ""
  let magnitude = abs(whole)
  guard decimals > 0 else { return sign + String(magnitude) }
  let fraction = String(magnitude % unit)
  return sign + String(magnitude / unit) + "."
    + String(repeating: "0", count: decimals - fraction.count) + fraction
}
