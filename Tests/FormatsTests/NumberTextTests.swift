import Formats
import Testing

@Suite struct NumberTextTests {
  @Test(arguments: [
    (0.693147, "0.6931"), (1.50407743, "1.504"), (12.5, "12.5"), (99.9999, "100"),
    (-123456.4, "-123456"), (12_345_678, "12350000"), (3.40282e38, "3.403e+38"), (0, "0"),
    (-0.0, "0"), (1e-7, "1e-07"), (-1.23456e-7, "-1.235e-07"), (.leastNonzeroMagnitude, "5e-324"),
    (30, "30"),
    (0.3, "0.3"), (.infinity, "inf"), (.nan, "nan"),
    (.greatestFiniteMagnitude, "1.7976931348623157e+308"),
  ])
  func shortNumbers(value: Double, text: String) { #expect(shortNumber(value) == text) }

  @Test func otherCountsOfDigits() {
    #expect(shortNumber(1.50407743, digits: 6) == "1.50408")
    #expect(shortNumber(0.0567, digits: 1) == "0.06")
  }

  @Test(arguments: [
    (0.5, 4, "0.5000"), (-0.00001, 4, "0.0000"), (12.345, 0, "12"), (-1.25, 1, "-1.3"),
    (999.96, 1, "1000.0"),
  ])
  func fixedDecimals(value: Double, decimals: Int, text: String) {
    #expect(fixed(value, decimals: decimals) == text)
  }

  @Test func decimalsOfFloats() {
    #expect(shortestDecimal(ofFloat: Double(Float(0.1))) == 0.1)
    #expect(shortestDecimal(ofFloat: .infinity) == .infinity)
  }
}
